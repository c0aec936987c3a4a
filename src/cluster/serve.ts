// What a member answers to other hosts: proposals that reach it because it leads.
import { type Mesh } from '../mesh/mesh.ts'
import { type LeaderDesk } from './leader-desk.ts'
import { parseProposeRequest, PROPOSE } from './wire.ts'

/** Returns the way to stop. */
export function servePropose(mesh: Mesh, desk: LeaderDesk): () => void {
  return mesh.handle(PROPOSE, (body, { from, signal }) => desk.accept(parseProposeRequest(body), from, signal))
}
