// The lab does to its hosts what its verbs say, and leaves nothing behind.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Lab, type LabHost, labUnavailable, startLab } from '../lab/lab.ts'
import { type LoopbackHost, startLoopbackLab } from '../lab/loopback-lab.ts'
import { type HostProcess } from '../lab/machine.ts'
import { type Outcome, runProgram } from '../lab/run-program.ts'
import { waitFor } from '../lab/wait-for.ts'

const unavailable = labUnavailable()

describe.skipIf(unavailable !== undefined)(`test hosts${unavailable === undefined ? '' : ` (${unavailable})`}`, () => {
  let lab: Lab
  let h1: LabHost
  let h2: LabHost
  let h3: LabHost

  beforeAll(async () => {
    lab = await startLab(3)
    const [first, second, third] = lab.hosts
    if (first === undefined || second === undefined || third === undefined) throw new Error('three hosts wanted')
    ;[h1, h2, h3] = [first, second, third]
    for (const host of lab.hosts) await host.boot()
    for (const host of lab.hosts) await answerOn(host)
  })
  afterAll(() => lab.stop())

  it('reach each other, and not themselves only', async () => {
    expect(await asks(h1, h2)).toBe('h2')
    expect(await asks(h3, h1)).toBe('h1')
  })

  it('are cut off by the cable, and come back with it', async () => {
    await h2.cut()
    expect(await asks(h1, h2)).toBe('nothing')
    await h2.join()
    expect(await waitFor('h2 to be back', async () => (await asks(h1, h2)) === 'h2')).toBe(true)
  })

  it('lose packets one way: what h1 says does not reach h2, while h3 still hears h1', async () => {
    await h1.dropTo(h2)
    expect(await asks(h1, h2)).toBe('nothing')
    expect(await asks(h1, h3)).toBe('h3')
    await h1.undropTo(h2)
    expect(await asks(h1, h2)).toBe('h2')
  })

  it('are split into groups, and healed', async () => {
    await lab.split([h1, h2], [h3])
    expect([await asks(h1, h2), await asks(h1, h3), await asks(h3, h2)]).toEqual(['h2', 'nothing', 'nothing'])
    await lab.heal()
    expect([await asks(h1, h3), await asks(h3, h2)]).toEqual(['h3', 'h2'])
  })

  it('lose all packets at a loss of 100 per cent', async () => {
    await h1.loss(100)
    expect(await asks(h3, h1)).toBe('nothing')
    await lab.heal()
    expect(await asks(h3, h1)).toBe('h1')
  })

  it('stand still and go on', async () => {
    await h2.freeze()
    expect(await asks(h1, h2)).toBe('nothing')
    await h2.thaw()
    expect(await waitFor('h2 to go on', async () => (await asks(h1, h2)) === 'h2')).toBe(true)
  })

  it('have process numbers, a name and a resolver of their own, which answers nothing', async () => {
    const { stdout } = await h1.exec(['sh', '-c', 'cat /proc/1/comm; hostname; cat /etc/resolv.conf'])
    expect(stdout).toMatch(/^sh\nh1\nnameserver 198\.18\.\d+\.253\n$/)
  })

  it('start processes that go on, say their number, and take signals', async () => {
    const sleeper = await h1.start('sleeper', ['sh', '-c', 'echo awake; exec sleep 1000'])
    await waitFor('its log', () => h1.log('sleeper') === 'awake\n')
    const { stdout } = await h1.exec(['cat', `/proc/${sleeper.pid}/comm`])
    expect(stdout).toBe('sleep\n')
    await sleeper.signal('SIGKILL')
    expect((await sleeper.ended).code).not.toBe(0)
  })

  it('lose all processes with the power, and their files not', async () => {
    const sleeper = await h3.start('sleeper', ['sleep', '1000'])
    await h3.exec(['sh', '-c', `echo kept > ${join(h3.folder, 'file')}`])
    await h3.poweroff()
    expect((await sleeper.ended).code).not.toBe(0)
    expect(await asks(h1, h3)).toBe('nothing')
    await h3.join()
    await h3.boot()
    expect((await h3.exec(['cat', join(h3.folder, 'file')])).stdout).toBe('kept\n')
    await answerOn(h3)
    expect(await asks(h1, h3)).toBe('h3')
  })

  it('end with their owner, even one that is killed', async () => {
    const script = `
      import { startLab } from ${JSON.stringify(join(import.meta.dirname, '../lab/lab.ts'))}
      const { hosts, folder } = await startLab(1)
      await hosts[0].boot()
      const [, , network] = hosts[0].address.split('.')
      process.stdout.write(folder + ' /run/netns/hml' + network + '-h1', () => process.kill(process.pid, 'SIGKILL'))`
    const { stdout } = await runProgram([process.execPath, '--input-type=module', '-e', script])
    const [folder = '', namespace = ''] = stdout.split(' ')
    expect([folder, namespace]).toEqual([expect.stringContaining('hostmesh-lab-'), expect.stringMatching(/hml\d+-h1$/)])
    await waitFor('the lab to be gone', () => !existsSync(folder) && !existsSync(namespace))
  })
})

describe('hosts that are plain processes', () => {
  it('lose with the power what was told where their data are, and nothing else', async () => {
    const lab = startLoopbackLab(2)
    try {
      const [one, other] = lab.hosts
      if (one === undefined || other === undefined) throw new Error('two hosts wanted')
      const sleeperOf = (host: LoopbackHost): Promise<HostProcess> =>
        host.start('sleeper', [process.execPath, '-e', 'setInterval(() => {}, 1000)', join(host.folder, 'data')])
      const [lost, kept] = [await sleeperOf(one), await sleeperOf(other)]
      await one.poweroff()
      expect((await lost.ended).code).not.toBe(0)
      expect(existsSync(`/proc/${kept.pid}`)).toBe(true)
    } finally {
      await lab.stop()
    }
    expect(existsSync(lab.folder)).toBe(false)
  })
})

/** Answers every connection on port 7 with the name of the host. */
async function answerOn(host: LabHost): Promise<void> {
  const server = `require('node:net').createServer((socket) => socket.end(require('node:os').hostname())).listen(7, '0.0.0.0')`
  await host.start('answer', [process.execPath, '-e', server])
  await waitFor(`${host.name} to answer`, async () => (await asks(host, host)) === host.name)
}

/** What the other host answers within half a second. */
async function asks(from: LabHost, to: LabHost): Promise<string> {
  const { stdout }: Outcome = await from.exec(['timeout', '0.5', 'bash', '-c', `cat < /dev/tcp/${to.address}/7`])
  return stdout === '' ? 'nothing' : stdout
}
