// What a member answers to other hosts: what they ask of it because it leads.
import { type Cluster } from '../inventory/cluster.ts'
import { type Mesh } from '../mesh/mesh.ts'
import { type LeaderDesk } from './leader-desk.ts'
import { HAND_OVER, MEMBERS, parseHandOver, parseProposeRequest, PROPOSE } from './wire.ts'

/** Returns the way to stop. */
export function serveMembers(mesh: Mesh, desk: LeaderDesk, cluster: Pick<Cluster, 'status'>): () => void {
  const offs = [
    mesh.handle(PROPOSE, (body, { from, signal }) => desk.accept(parseProposeRequest(body), from, signal)),
    mesh.handle(HAND_OVER, async (body, { signal }) => {
      await desk.handOver(parseHandOver(body), signal)
      return {}
    }),
    mesh.handle(MEMBERS, async () => cluster.status().members),
  ]
  return () => {
    for (const off of offs) off()
  }
}
