// Who may import whom: the table of the architecture, as data. What is not in a row is forbidden.

export interface Layer {
  /** A folder of src, or a file at its top. */
  readonly part: string
  /** Beside itself: whole parts, or of a part one file (`vm/driver.ts`), or all files whose path starts so (`vm/qmp*`). */
  readonly imports: readonly string[]
  /** npm packages it may import; `@libp2p/*` means the whole scope. Modules of Node are free, but not to pure parts. */
  readonly packages: readonly string[]
  /** Functions from data to data: nothing of the machine, of time, of chance, of the place it runs at. */
  readonly pure?: boolean
}

const EVERYTHING = [
  'base',
  'system',
  'inventory',
  'scheduler',
  'consensus',
  'cluster',
  'mesh',
  'vm',
  'storage',
  'network',
  'p2v',
  'host',
  'leader',
  'api',
  'web',
]

export const LAYERS: readonly Layer[] = [
  { part: 'base', imports: [], packages: [] },
  { part: 'system', imports: ['base'], packages: [] },
  { part: 'inventory', imports: ['base'], packages: [], pure: true },
  { part: 'scheduler', imports: ['base', 'inventory'], packages: [], pure: true },
  { part: 'consensus', imports: ['base'], packages: ['level'], pure: true },
  {
    part: 'mesh',
    imports: ['base'],
    packages: ['libp2p', '@libp2p/*', '@chainsafe/libp2p-gossipsub', '@multiformats/multiaddr', 'msgpackr'],
  },
  // Plugs consensus behind the port of the inventory, with mesh as its carrier: no other part knows consensus.
  { part: 'cluster', imports: ['base', 'system', 'inventory', 'consensus', 'mesh'], packages: ['valibot'] },
  { part: 'storage', imports: ['base', 'inventory', 'system'], packages: [] },
  { part: 'network', imports: ['base', 'inventory', 'system'], packages: [] },
  { part: 'vm', imports: ['base', 'inventory', 'system'], packages: [] },
  { part: 'p2v', imports: ['base', 'inventory', 'system', 'storage', 'vm'], packages: [] },
  { part: 'host', imports: ['base', 'inventory', 'system', 'mesh', 'vm', 'storage', 'network', 'p2v'], packages: ['valibot'] },
  { part: 'leader', imports: ['base', 'inventory', 'scheduler', 'mesh', 'host/methods*'], packages: [] },
  {
    part: 'api',
    imports: ['base', 'inventory', 'scheduler', 'mesh', 'host/methods*'],
    packages: ['hono', '@hono/node-server', 'valibot', 'ws'],
  },
  {
    part: 'cli',
    imports: ['base', 'inventory', 'api/client*', 'api/contract*', 'api/types*', 'version.ts'],
    packages: ['@stricli/core', 'ws'],
  },
  { part: 'web', imports: ['base', 'inventory', 'api/client*', 'api/contract*', 'api/types*'], packages: [] },
  // What holds the guests is small enough to be read whole, and uses nothing beyond Node.
  {
    part: 'warden.ts',
    imports: [
      'base',
      'system/facts.ts',
      'system/files.ts',
      'inventory/inventory.ts',
      'inventory/model.ts',
      'inventory/view.ts',
      'vm/driver.ts',
      'vm/qemu-process.ts',
      'vm/qmp*',
      'vm/run-rules.ts',
      'vm/warden-*',
      'host/run-ledger*',
    ],
    packages: [],
  },
  { part: 'version.ts', imports: [], packages: [] },
  // The agent: what it needs, what runs while its host belongs to a mesh, how that changes, and all of it put together.
  { part: 'agent-ports.ts', imports: EVERYTHING, packages: [] },
  { part: 'session.ts', imports: [...EVERYTHING, 'agent-ports.ts'], packages: [] },
  { part: 'lifecycle.ts', imports: [...EVERYTHING, 'agent-ports.ts', 'session.ts'], packages: [] },
  { part: 'recovery.ts', imports: [...EVERYTHING, 'agent-ports.ts', 'session.ts', 'lifecycle.ts'], packages: [] },
  { part: 'repair.ts', imports: [...EVERYTHING, 'agent-ports.ts', 'lifecycle.ts', 'recovery.ts'], packages: [] },
  { part: 'agent.ts', imports: [...EVERYTHING, 'agent-ports.ts', 'session.ts', 'lifecycle.ts', 'recovery.ts', 'repair.ts'], packages: [] },
  { part: 'daemon.ts', imports: [...EVERYTHING, 'agent.ts', 'version.ts'], packages: ['pino'] },
  // `hostmesh agent` goes on as the daemon.
  { part: 'cli.ts', imports: ['base', 'cli', 'daemon.ts'], packages: ['@stricli/core'] },
]

/** The input and output of a pure part: its log on disk, and the loop that drives it. */
export const IMPURE_FILES = /^src\/consensus\/(level-[a-z-]+|replica|checksum)\.ts$/

/**
 * What is executed, not imported: each has to reach every file of src between them. The last two serve tests and the simulated world and stand
 * in src beside what they state: the invariants of the inventory, and the driver's contract in a fake.
 */
export const ENTRY_POINTS = ['src/daemon.ts', 'src/warden.ts', 'src/cli.ts', 'src/inventory/check.ts', 'src/vm/fake-driver.ts']
