// Console logs keep what counts and give back the rest; one guest's stream serves all who look.
import { appendFile, mkdir, open, readdir, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { realClock } from '../../src/base/clock.ts'
import { type VmId } from '../../src/base/ids.ts'
import { CONSOLE_KEPT_BYTES, Consoles } from '../../src/vm/console.ts'
import { type Run } from '../../src/vm/driver.ts'
import { CONSOLE_SOCKET } from '../../src/vm/warden-protocol.ts'
import { lineServer } from '../fixture/line-server.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'
import { waitFor } from '../lab/wait-for.ts'

const WEB = 'web' as VmId
const RUN: Run = { vm: WEB, epoch: { generation: 1, counter: 1 } }
const never = new AbortController().signal

async function consoles(): Promise<Consoles & { readonly directory: string }> {
  const directory = await temporaryDirectory()
  return Object.assign(new Consoles({ directory, clock: realClock }), { directory })
}

describe('a console log', () => {
  it('gives its newest bytes, at most as many as are kept, and none where there is no log', async () => {
    const made = await consoles()
    expect(await made.log(WEB, 100)).toEqual(new Uint8Array())
    await writeFile(made.logPath(WEB), 'one\r\ntwo\r\n')
    expect(new TextDecoder().decode(await made.log(WEB, 100))).toBe('one\r\ntwo\r\n')
    expect(new TextDecoder().decode(await made.log(WEB, 5))).toBe('two\r\n')
    await writeFile(made.logPath(WEB), Buffer.alloc(CONSOLE_KEPT_BYTES + 10, 'x'))
    expect((await made.log(WEB, 10 * CONSOLE_KEPT_BYTES)).length).toBe(CONSOLE_KEPT_BYTES)
  })

  it('frees what is older, again and again, while its writer goes on appending', async () => {
    const made = await consoles()
    const path = made.logPath(WEB)
    // As QEMU does: one file, opened once for appending.
    const writer = await open(path, 'a')
    onTestFinished(() => writer.close())
    for (let megabyte = 1; megabyte <= 4; megabyte += 1) {
      await writer.appendFile(Buffer.alloc(1024 * 1024, `${megabyte}`))
      await made.trim(new Set([WEB]), never)
      await writer.appendFile(`end of ${megabyte}\n`)
      expect(new TextDecoder().decode((await made.log(WEB, 12)).slice(-9))).toBe(`end of ${megabyte}\n`)
      const { blocks } = await stat(path)
      expect(blocks * 512).toBeLessThan(CONSOLE_KEPT_BYTES + 64 * 1024)
    }
    const kept = Buffer.from(await made.log(WEB, CONSOLE_KEPT_BYTES))
    expect(kept.includes(0)).toBe(false)
    expect(kept.subarray(0, 8).toString()).toMatch(/^[34]+$/)
  })

  it('is left alone while it is small', async () => {
    const made = await consoles()
    await appendFile(made.logPath(WEB), Buffer.alloc(CONSOLE_KEPT_BYTES + 200_000, 'x'))
    const before = await stat(made.logPath(WEB))
    await made.trim(new Set([WEB]), never)
    expect((await stat(made.logPath(WEB))).blocks).toBe(before.blocks)
  })

  it('of a VM that is not here goes when two hundred others are newer, never that of one that is', async () => {
    const made = await consoles()
    for (let at = 0; at <= 201; at += 1) {
      const path = made.logPath(`vm${at}` as VmId)
      await writeFile(path, 'x')
      await utimes(path, at, at)
    }
    await made.trim(new Set(['vm0' as VmId]), never)
    const names = await readdir(made.directory)
    expect(names).toHaveLength(201)
    expect(names).toContain('vm0.console')
    expect(names).not.toContain('vm1.console')
    expect(names).toContain('vm2.console')
  })
})

describe('a console stream', () => {
  const guest = async () => {
    const directory = await temporaryDirectory()
    const server = await lineServer({ path: join(directory, CONSOLE_SOCKET) })
    const made = await consoles()
    onTestFinished(() => made.close())
    return { directory, server, made }
  }
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

  it('is one connection for all onlookers, made for the first and given up after the last', async () => {
    const { directory, server, made } = await guest()
    expect(server.connections).toBe(0)
    const heard: string[] = []
    const [one, other] = await Promise.all([made.open(RUN, directory), made.open(RUN, directory)])
    one?.onData((bytes) => heard.push(`one ${text(bytes)}`))
    other?.onData((bytes) => heard.push(`other ${text(bytes)}`))
    expect(server.connections).toBe(1)
    server.send('boot')
    await waitFor('both hear', () => heard.length === 2)
    expect(heard).toEqual(['one boot', 'other boot'])
    one?.close()
    one?.close()
    server.send('on')
    await waitFor('the other hears', () => heard.length === 3)
    expect(heard[2]).toBe('other on')
    other?.close()
    const again = await made.open(RUN, directory)
    expect(server.connections).toBe(2)
    again.close()
  })

  it('carries what anybody types, in order, and nothing after they left', async () => {
    const { directory, server, made } = await guest()
    const one = await made.open(RUN, directory)
    const other = await made.open(RUN, directory)
    one.write(Buffer.from('a\n'))
    other.write(Buffer.from('b\n'))
    one.close()
    one.write(Buffer.from('c\n'))
    other.write(Buffer.from('d\n'))
    await waitFor('three lines', () => server.received.length === 3)
    expect(server.received).toEqual(['a', 'b', 'd'])
  })

  it('tells everybody who is still there when the guest is gone', async () => {
    const { directory, server, made } = await guest()
    const closed: string[] = []
    const one = await made.open(RUN, directory)
    const other = await made.open(RUN, directory)
    one.onClose(() => closed.push('one'))
    other.onClose(() => closed.push('other'))
    one.close()
    server.hangUp()
    await waitFor('the other hears of it', () => closed.length > 0)
    expect(closed).toEqual(['other'])
    other.onClose(() => closed.push('late'))
    expect(closed).toEqual(['other', 'late'])
    // A new onlooker gets a new connection, not the broken one.
    ;(await made.open(RUN, directory)).close()
  })

  it('is refused where no guest listens, and can be asked for again', async () => {
    const made = await consoles()
    const directory = await temporaryDirectory()
    await mkdir(directory, { recursive: true })
    await expect(made.open(RUN, directory)).rejects.toMatchObject({ code: 'unreachable' })
    await lineServer({ path: join(directory, CONSOLE_SOCKET) })
    ;(await made.open(RUN, directory)).close()
  })
})
