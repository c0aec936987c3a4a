// Routes of backups: the agreed state as lines of a file, and a mesh made of such a file.
import { createHash } from 'node:crypto'
import { endLine, headLine, rowLine } from '../inventory/backup-lines.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { eachRow } from '../inventory/snapshot.ts'
import { type ApiContext } from './context.ts'
import { assertMember } from './freshness.ts'
import { type LocalHandlers, type Request, type StreamHandlers } from './handler.ts'
import { isoTime } from './shapes.ts'
import { failed } from './step-stream.ts'
import { type StreamItem } from './stream.ts'
import { type BackupMessage } from './types.ts'

/** Characters of one message: a page of rows, so that neither side holds the whole. */
const MESSAGE_CHARS = 64 * 1024

export const backupStreams: Pick<StreamHandlers, 'backup'> = { backup: backupMessages }

export const restoreRoutes: Pick<LocalHandlers, 'restore'> = {
  async restore({ context, body, signal }) {
    const { head, rows, generation, hosts, vms, tokens, damaged } = await context.recovery.restore(
      body.path,
      { dryRun: body.dryRun ?? false },
      signal,
    )
    return {
      mesh: { id: head.mesh.id, name: head.mesh.name },
      generation,
      madeAt: isoTime(head.at),
      madeBy: head.by,
      stale: head.stale,
      index: head.index,
      rows,
      hosts: hosts.map(({ name, addresses }) => ({ name, addresses: [...addresses] })),
      vms: [...vms],
      tokens,
      damaged,
      dryRun: body.dryRun ?? false,
    }
  },
}

async function* backupMessages({
  context,
  query,
  signal,
}: Request<'backup'>): AsyncGenerator<StreamItem<BackupMessage> | null, void, undefined> {
  try {
    assertMember(context)
    const stale = query.stale ?? false
    const inventory = stale ? context.cluster.view() : await context.cluster.read(signal)
    for (const lines of pages(backupLines(context, inventory, stale))) {
      signal.throwIfAborted()
      yield { data: { kind: 'lines', lines } }
    }
    yield { data: { kind: 'done', index: inventory.index } }
  } catch (error) {
    yield { data: failed(error) }
  }
}

function* backupLines(
  { cluster, clock, self, version }: ApiContext,
  inventory: Inventory,
  stale: boolean,
): Generator<string, void, undefined> {
  const { mesh, index } = inventory
  if (mesh === null) return
  const hash = createHash('sha256')
  const { id, name, generation } = mesh
  const head = { mesh: { id, name, generation }, index, term: cluster.status().term, at: Math.round(clock.wall()) }
  let rows = 0
  const counted = (line: string): string => {
    hash.update(`${line}\n`)
    return line
  }
  yield counted(headLine({ ...head, by: self.name(), program: version, stale }))
  for (const [key, value] of eachRow(inventory)) {
    rows += 1
    yield counted(rowLine(key, value))
  }
  yield endLine(rows, hash.digest('hex'))
}

function* pages(lines: Iterable<string>): Generator<string[], void, undefined> {
  let page: string[] = []
  let chars = 0
  for (const line of lines) {
    page.push(line)
    chars += line.length
    if (chars < MESSAGE_CHARS) continue
    yield page
    page = []
    chars = 0
  }
  if (page.length > 0) yield page
}
