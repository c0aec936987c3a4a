// How the story is told: numbered chapters, the commands with what they print, and for each line the seconds since the start.
import { spawn } from 'node:child_process'
import { styleText } from 'node:util'
import { type Machine } from '../test/lab/machine.ts'
import { HOSTMESH, type MeshHost } from '../test/lab/mesh-lab.ts'

/** What the story claims and does not find. */
export class BrokenPromise extends Error {}

type Style = 'bold' | 'dim' | 'green' | 'red' | 'cyan'

export interface CommandOptions {
  /** How many lines of what it prints are shown; the rest is counted. */
  readonly lines?: number
  /** Lines of the output that matter; the others are left out. */
  readonly only?: RegExp
}

const GUTTER = ' '.repeat(11)
/** Kernel command lines and tokens are longer than a line. */
const SHOWN_ARGUMENT = 48

export class Stage {
  readonly #began = performance.now()
  readonly #color = process.stdout.isTTY && process.env['NO_COLOR'] === undefined
  #chapters = 0

  /** What comes next, with its number. */
  chapter(title: string): void {
    this.#chapters += 1
    process.stdout.write('\n')
    this.#line(this.#style('bold', `${this.#chapters}. ${title}`))
  }

  /** A sentence that explains. */
  tell(text: string): void {
    for (const line of text.split('\n')) process.stdout.write(`${GUTTER}   ${line}\n`)
  }

  /** Does something that has no command of hostmesh, and says how long it took. */
  async step<T>(what: string, work: () => Promise<T>): Promise<T> {
    const from = performance.now()
    const result = await work()
    this.#line(`   ${this.#style('green', '✓')} ${what} ${this.#style('dim', `(${seconds(performance.now() - from)})`)}`)
    return result
  }

  /** A claim: holds, or the story ends here. */
  claim(holds: boolean, what: string): void {
    if (!holds) throw new BrokenPromise(what)
    this.#line(`   ${this.#style('green', '✓')} ${what}`)
  }

  /** A figure with what is promised for a machine that has nothing else to do, and the limit beyond which something is wrong. */
  figure(what: string, ms: number, { promisedMs, limitMs }: { readonly promisedMs: number; readonly limitMs: number }): void {
    if (ms > limitMs) throw new BrokenPromise(`${what} took ${seconds(ms)}, more than ${seconds(limitMs)}`)
    const late = ms > promisedMs ? ': this machine is busy' : ''
    this.#line(`   ${this.#style('green', '✓')} ${what}: ${this.#style('bold', seconds(ms))} (promised: ${seconds(promisedMs)}${late})`)
  }

  /** Shows the command as it is typed on that host, runs it, shows what it prints. Anything but exit code 0 ends the story. */
  async type<M extends Machine>(host: MeshHost<M>, args: readonly string[], options: CommandOptions = {}): Promise<number> {
    this.#line(`   ${this.#style('dim', `${host.name}$`)} ${this.#style('cyan', ['hostmesh', ...args.map(shown)].join(' '))}`)
    const from = performance.now()
    const outcome = await host.cli(...args)
    if (outcome.code !== 0) {
      throw new BrokenPromise(`hostmesh ${args.map(shown).join(' ')}: exit code ${outcome.code}\n${outcome.stdout}${outcome.stderr}`)
    }
    this.#quote(outcome.stdout, options)
    return performance.now() - from
  }

  /** The same for a command that goes on: what it prints is shown as it comes, until it ends. Resolves with all of it. */
  async follow<M extends Machine>(host: MeshHost<M>, args: readonly string[]): Promise<string> {
    this.#line(`   ${this.#style('dim', `${host.name}$`)} ${this.#style('cyan', ['hostmesh', ...args.map(shown)].join(' '))}`)
    const child = spawn(HOSTMESH, args, { env: { ...process.env, ...host.env }, stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    let unfinished = ''
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (text: string) => {
      output += text
      const lines = (unfinished + text).split(/\r?\n/)
      unfinished = lines.pop() ?? ''
      for (const line of lines) this.#line(`     ${line}`)
    })
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    })
    if (code !== 0) throw new BrokenPromise(`hostmesh ${args.join(' ')}: exit code ${code}`)
    return output
  }

  failed(error: unknown): void {
    this.#line(`   ${this.#style('red', '✗')} ${error instanceof Error ? error.message : String(error)}`)
    if (error instanceof Error && !(error instanceof BrokenPromise)) this.tell(error.stack ?? '')
  }

  /** Without a time: before the first chapter and after the last. */
  print(text: string): void {
    process.stdout.write(`${text}\n`)
  }

  #quote(output: string, { lines = 12, only }: CommandOptions): void {
    const all = output.trimEnd().split('\n')
    const wanted = only === undefined ? all : all.filter((line) => only.test(line))
    for (const line of wanted.slice(0, lines)) process.stdout.write(`${GUTTER}     ${line}\n`)
    if (wanted.length > lines) process.stdout.write(`${GUTTER}     ${this.#style('dim', `… ${wanted.length - lines} more lines`)}\n`)
  }

  #line(text: string): void {
    const at = ((performance.now() - this.#began) / 1000).toFixed(1).padStart(6)
    process.stdout.write(`${this.#style('dim', `${at} s`)}   ${text}\n`)
  }

  #style(style: Style, text: string): string {
    return this.#color ? styleText(style, text, { validateStream: false }) : text
  }
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`
}

/** As a person would type it, with quotes where a shell needs them; what is very long is cut, visibly. */
function shown(argument: string): string {
  const text = argument.length > SHOWN_ARGUMENT ? `${argument.slice(0, SHOWN_ARGUMENT - 8)}…` : argument
  return /^[\w@%+=:,./…-]+$/.test(text) ? text : `'${text}'`
}
