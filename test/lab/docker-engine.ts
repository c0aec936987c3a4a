// A Docker engine of one test file's own (dockerd.sh), with an image that borrows the machine's /usr; it ends with its owner.
import { spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runProgram } from './run-program.ts'

const DOCKERD = join(import.meta.dirname, 'dockerd.sh')
const BINDIMG = join(import.meta.dirname, 'bindimg.sh')

/** Exit code of dockerd.sh where this machine can run no engine. */
const CANNOT = 77

export type Engine =
  | {
      readonly kind: 'up'
      /** Name of the image: /bin and its like lead into /usr, which has to be mounted. */
      readonly image: string
      /** Ends the engine with all its containers, and removes whatever they wrote. */
      stop(): Promise<void>
    }
  /** Why there is none. */
  | { readonly kind: 'none'; readonly reason: string }

/** Sets the environment of this process so that testcontainers finds this engine and no other. */
export async function startEngine(): Promise<Engine> {
  const folder = mkdtempSync(join(tmpdir(), 'hostmesh-docker-'))
  const stop = takeCare(folder)
  try {
    const up = await runProgram([DOCKERD, 'up', folder])
    if (up.code === CANNOT) {
      await stop()
      return { kind: 'none', reason: up.stderr.trim().replaceAll(/\s+/g, ' ') }
    }
    if (up.code !== 0) throw new Error(`dockerd.sh up: exit code ${up.code}\n${up.stderr}`)
    const { stdout } = await runProgram([DOCKERD, 'env', folder])
    for (const [, name = '', value = ''] of stdout.matchAll(/(\w+)=(\S+)/g)) process.env[name] = value
    const image = 'hostmesh-bind'
    const made = await runProgram([BINDIMG, image])
    if (made.code !== 0) throw new Error(`bindimg.sh: exit code ${made.code}\n${made.stderr}`)
    return { kind: 'up', image, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The end of its standard input tells the caretaker to tidy up: it comes by `stop`, or with the end of this process, however that ends. */
function takeCare(folder: string): () => Promise<void> {
  const script = 'cat; exec "$1" down "$2"'
  const caretaker = spawn('setsid', ['sh', '-c', script, 'engine-caretaker', DOCKERD, folder], { stdio: ['pipe', 'ignore', 'ignore'] })
  const ended = new Promise<void>((done) => {
    caretaker.once('close', () => done())
  })
  return () => {
    caretaker.stdin.end()
    return ended
  }
}
