// Programs end as they must: with their answer, with their last words, or killed at a limit; and never through a shell.
import { describe, expect, it } from 'vitest'
import { realClock } from '../../src/base/clock.ts'
import { lastLines, runProgram, type ProgramCall } from '../../src/system/run-program.ts'
import { startTicksOf } from '../../src/system/facts.ts'
import { errorOf } from '../fixture/error-of.ts'
import { manualClock } from '../fixture/manual-clock.ts'
import { waitFor } from '../lab/wait-for.ts'

function call(program: string, args: readonly string[], changes: Partial<ProgramCall> = {}): ProgramCall {
  return { program, args, clock: realClock, timeoutMs: 10_000, ...changes }
}

describe('a program', () => {
  it('gives what it wrote, to both of its outputs', async () => {
    const script = 'echo out; echo err >&2'
    expect(await runProgram(call('sh', ['-c', script]))).toEqual({ stdout: 'out\n', stderr: 'err\n' })
  })

  it('gets its arguments as they are, and no input', async () => {
    const odd = ['$(id)', 'a b', "'", '*', '', 'ü;\n']
    const { stdout } = await runProgram(call('printf', ['%s|', ...odd]))
    expect(stdout).toBe(odd.map((word) => `${word}|`).join(''))
    expect((await runProgram(call('cat', []))).stdout).toBe('')
  })

  it('speaks English, whatever the machine does', async () => {
    expect((await runProgram(call('sh', ['-c', 'echo $LC_ALL']))).stdout).toBe('C\n')
  })

  it('that fails is an error with its status and its last words', async () => {
    const script = 'for i in 1 2 3 4 5 6 7; do echo "line $i" >&2; done; exit 3'
    await expect(runProgram(call('sh', ['-c', script]))).rejects.toMatchObject({
      code: 'failed',
      message: 'sh -c ended with status 3: line 3; line 4; line 5; line 6; line 7',
      data: { program: 'sh', status: 3, signal: null },
    })
    await expect(runProgram(call('false', []))).rejects.toMatchObject({ message: 'false ended with status 1' })
  })

  it('that is killed is an error with the signal', async () => {
    await expect(runProgram(call('sh', ['-c', 'kill -9 $$']))).rejects.toMatchObject({
      code: 'failed',
      message: 'sh -c was ended by SIGKILL',
      data: { status: null, signal: 'SIGKILL' },
    })
  })

  it('that is not there is an error with its name', async () => {
    await expect(runProgram(call('/nowhere/tool', ['go']))).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining('/nowhere/tool could not be run'),
    })
  })

  it('is killed at its limit, and gone by the time that anybody hears of it', async () => {
    const clock = manualClock()
    const running = runProgram(call('sh', ['-c', 'echo $$ >&2; exec sleep 600'], { clock, timeoutMs: 5_000 }))
    const error = errorOf(running)
    await clock.run(5_000)
    expect(await error).toMatchObject({ code: 'timeout', message: expect.stringContaining('sh -c') })
  })

  it('is killed when its caller gives up, and never started for one that gave up before', async () => {
    const caller = new AbortController()
    const running = runProgram(call('sleep', ['600'], { signal: caller.signal }))
    caller.abort(new Error('enough'))
    await expect(running).rejects.toThrow('enough')
    await expect(runProgram(call('/nowhere/tool', [], { signal: caller.signal }))).rejects.toThrow('enough')
  })

  it('is killed when it writes more than it may', async () => {
    await expect(runProgram(call('yes', [], { maxOutputBytes: 1_000 }))).rejects.toMatchObject({
      code: 'too-large',
      message: expect.stringContaining('1000 bytes'),
    })
  })

  it('leaves no process behind', async () => {
    const caller = new AbortController()
    const pid = Promise.withResolvers<number>()
    const running = runProgram(call('sh', ['-c', 'exec sleep 600'], { signal: caller.signal }))
    const child = await waitFor('the child is there', () => childOf(process.pid))
    pid.resolve(child)
    caller.abort(new Error('enough'))
    await expect(running).rejects.toThrow('enough')
    expect(await startTicksOf(await pid.promise)).toBeUndefined()
  })
})

describe('last lines', () => {
  it('are one line of at most five, without what is empty', () => {
    expect(lastLines('')).toBe('')
    expect(lastLines('  a \n\n b\n')).toBe('a; b')
    expect(lastLines('1\n2\n3\n4\n5\n6\n')).toBe('2; 3; 4; 5; 6')
  })
})

async function childOf(pid: number): Promise<number | undefined> {
  const { stdout } = await runProgram(call('ps', ['-o', 'pid=,args=', '--ppid', String(pid)]))
  const line = stdout.split('\n').find((text) => text.includes('sleep 600'))
  return line === undefined ? undefined : Number.parseInt(line, 10)
}
