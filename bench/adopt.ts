// How soon a new agent has the guests of the one before it, which was killed: from its start, with three guests running.
import { createDiskGuest } from '../test/lab/guests.ts'
import { guestPids, vmBecomes } from '../test/lab/look.ts'
import { formMesh, startMeshLab } from '../test/lab/mesh-lab.ts'
import { waitFor } from '../test/lab/wait-for.ts'
import { printFigures, roundsWanted } from './shared/figures.ts'

const GUESTS = ['one', 'two', 'three']
const ADOPTED = 'the guests of this host are adopted'

const rounds = roundsWanted(10)
const lab = await startMeshLab(1)
try {
  const [host] = lab.hosts
  if (host === undefined) throw new Error('a host wanted')
  await formMesh(lab, 1)
  for (const name of GUESTS) {
    await createDiskGuest(host, lab, name)
    await host.ok('vm', 'start', name)
    await vmBecomes(host, name, ({ state }) => state === 'running')
  }
  const before = await guestPids(host)
  const times: number[] = []
  for (let round = 1; round <= rounds; round += 1) {
    await host.killAgent()
    const from = Date.now()
    const starting = host.startAgent({ boot: false })
    const { time, guests } = await waitFor('the adoption', () => adoptions(host.host.log('agent')).find((one) => one.time >= from), {
      limitMs: 120_000,
    })
    await starting
    if (guests !== GUESTS.length) throw new Error(`${guests} guests were adopted instead of ${GUESTS.length}`)
    times.push(time - from)
  }
  const after = await guestPids(host)
  if (JSON.stringify([...after]) !== JSON.stringify([...before])) throw new Error('the guests have other processes now')
  printFigures(`From the start of an agent until ${GUESTS.length} running guests are its own, all with the QEMU that they had`, [
    { name: 'agent start to adopted', values: times, unit: 'ms' },
  ])
} finally {
  await lab.stop()
}

interface Adoption {
  /** Milliseconds since 1970. */
  readonly time: number
  readonly guests: number
}

/** The adoptions that an agent's log tells of. */
function adoptions(log: string): readonly Adoption[] {
  const lines = log.split('\n').filter((line) => line.includes(ADOPTED) && line.endsWith('}'))
  return lines.map((line) => {
    const { time, guests }: Record<string, unknown> = { ...(JSON.parse(line) as object) }
    return { time: Number(time), guests: Number(guests) }
  })
}
