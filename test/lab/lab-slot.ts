// Names and addresses for labs that run side by side, each with a caretaker that removes the lab when its owner ends.
import { spawn } from 'node:child_process'
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { runProgram } from './run-program.ts'

export interface LabSlot {
  /** For netlab.sh: namespaces and addresses that no other lab has. */
  readonly env: { readonly LAB: string; readonly NET: string; readonly DIR: string }
  /** Removes the lab, then gives the slot back. */
  release(): Promise<void>
}

// Where the network namespaces are, too: root's /run, or that of a user namespace with labs of its own.
const SLOTS = '/run/hostmesh-labs'

// As many as 198.18.0.0/16 has networks; a machine holds a handful.
const MAX_LABS = 256

/** The first slot that is free, or whose caretaker is dead; what that one left behind is removed first. */
export async function claimSlot(netlab: string, folder: string): Promise<LabSlot> {
  mkdirSync(SLOTS, { recursive: true })
  for (let number = 0; number < MAX_LABS; number++) {
    const env = { LAB: `hml${number}`, NET: `198.18.${number}`, DIR: folder }
    const file = join(SLOTS, String(number))
    await clearLeftover(netlab, file, env)
    const release = takeCare(netlab, file, env)
    if (release !== undefined) return { env, release }
  }
  throw new Error(`no free lab: all ${MAX_LABS} slots in ${SLOTS} are taken`)
}

/** Starts the caretaker of a slot, undefined where somebody else has the slot. */
function takeCare(netlab: string, file: string, env: LabSlot['env']): (() => Promise<void>) | undefined {
  // It lives until this end of the pipe closes, by `release` or by the end of this process; then it tidies up.
  const script = 'cat; "$1" down; [ -e "$DIR/keep" ] || rm -rf "$DIR"; rm -f "$2"'
  const caretaker = spawn('setsid', ['sh', '-c', script, 'lab-caretaker', netlab, file], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  const ended = new Promise<void>((done) => {
    caretaker.once('close', () => done())
  })
  // Written in full before it takes its name, so that a slot is never seen half claimed.
  const claim = `${file}.${caretaker.pid}`
  writeFileSync(claim, identity(caretaker.pid ?? 0) ?? '')
  try {
    linkSync(claim, file)
  } catch {
    caretaker.kill('SIGKILL')
    return undefined
  } finally {
    rmSync(claim)
  }
  // A lab that nobody stopped does not keep its owner from ending.
  caretaker.unref()
  if (caretaker.stdin instanceof Socket) caretaker.stdin.unref()
  return () => {
    caretaker.ref()
    caretaker.stdin.end()
    return ended
  }
}

/** Removes the lab of a slot whose caretaker is dead: the machine, or somebody with a broad kill, ended it too. */
async function clearLeftover(netlab: string, file: string, env: LabSlot['env']): Promise<void> {
  const holder = readIfThere(file)
  if (holder === undefined || identity(Number.parseInt(holder, 10)) === holder) return
  // Others may be at it: only the first finds the dead holder still in the file, the next may find its new lab there.
  const script = '[ "$(cat "$1")" = "$2" ] || exit 0; "$3" down; rm -f "$1"'
  await runProgram(['flock', join(SLOTS, 'lock'), 'sh', '-c', script, 'clear-leftover', file, holder, netlab], {
    env: { ...process.env, ...env },
  })
}

/** A process as no other will ever be: its pid and the moment of its start, in ticks since the boot. A zombie is none. */
function identity(pid: number): string | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`)
  // The name in parentheses may hold spaces; behind it come the state and, 19 fields later, the start.
  const fields = stat?.slice(stat.lastIndexOf(')')).split(' ') ?? []
  return fields.length === 0 || fields[1] === 'Z' ? undefined : `${pid} ${fields[20]}`
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
