// How long `hostmesh init` and `hostmesh join` take, on hosts whose resolver answers nothing: for who types them, and in the agent.
import { type MeshHost, newToken, startMeshLab } from '../test/lab/mesh-lab.ts'
import { printFigures, roundsWanted } from './shared/figures.ts'

const PATIENCE_MS = 60_000
const HOSTS = 5

const rounds = roundsWanted(2)
const times = { init: [] as number[], join: [] as number[], joinAgent: [] as number[] }
for (let round = 0; round < rounds; round += 1) await oneMesh()
printFigures('A mesh of one host, and a host that joins until it replicates', [
  { name: 'hostmesh init', values: times.init, unit: 'ms', promised: 1_000 },
  { name: 'hostmesh join', values: times.join, unit: 'ms', promised: 5_000 },
  { name: 'join, without the start of the command line', values: times.joinAgent, unit: 'ms' },
])

/** The first host begins it by command; the others join in turn by command and by a call to the API. */
async function oneMesh(): Promise<void> {
  const lab = await startMeshLab(HOSTS)
  try {
    const [first, ...others] = lab.hosts
    if (first === undefined) return
    times.init.push(await timed(() => first.ok('init', '--name', 'bench')))
    const token = await newToken(first)
    for (const [index, host] of others.entries()) {
      if (index % 2 === 0) times.join.push(await timed(() => host.ok('join', token)))
      else times.joinAgent.push(await timed(() => joinByApi(host, token)))
    }
  } finally {
    await lab.stop()
  }
}

async function joinByApi({ api }: MeshHost, token: string): Promise<void> {
  for await (const message of api.follow('join', { body: { token } }, { signal: AbortSignal.timeout(PATIENCE_MS) })) {
    if (message.kind === 'failed') throw new Error(message.error.message)
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await work()
  return performance.now() - from
}
