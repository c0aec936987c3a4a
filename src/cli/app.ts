// The tree of commands. Only the noun that was asked for is loaded: `hostmesh --help` knows the others by their one line here.
import {
  type Application,
  buildApplication,
  buildCommand,
  buildRouteMap,
  type Command,
  type PartialApplicationConfiguration,
  type RouteMap,
} from '@stricli/core'
import type { CliContext } from './context.ts'

export type Route = Command<CliContext> | RouteMap<CliContext>

interface Noun {
  readonly brief: string
  readonly load: () => Promise<Route>
}

/** In the order of `--help`: first steps first. */
export const NOUNS = {
  agent: {
    brief: 'Run the agent of this host (systemd does this from the package)',
    load: async () => (await import('./commands/agent.ts')).agent,
  },
  init: { brief: 'Begin a mesh with this host', load: async () => (await import('./commands/join.ts')).init },
  join: { brief: 'Join a mesh with the token of it', load: async () => (await import('./commands/join.ts')).join },
  status: { brief: 'The mesh on one screen', load: async () => (await import('./commands/mesh.ts')).status },
  mesh: { brief: 'Members, leader, and the log that they agree on', load: async () => (await import('./commands/mesh.ts')).mesh },
  token: { brief: 'Tokens that let hosts join', load: async () => (await import('./commands/token.ts')).token },
  host: { brief: 'Hosts of the mesh', load: async () => (await import('./commands/host.ts')).host },
  vm: { brief: 'Virtual machines', load: async () => (await import('./commands/vm.ts')).vm },
  'why-not': {
    brief: 'Why a VM cannot run on a host: all reasons at once',
    load: async () => (await import('./commands/why-not.ts')).whyNot,
  },
  datastore: {
    brief: 'Places for disks and files that all hosts see',
    load: async () => (await import('./commands/datastore.ts')).datastore,
  },
  disk: { brief: 'Virtual disks', load: async () => (await import('./commands/disk.ts')).disk },
  job: { brief: 'What is being done', load: async () => (await import('./commands/job.ts')).job },
  event: { brief: 'What happened', load: async () => (await import('./commands/event.ts')).event },
  config: { brief: 'Settings of the mesh', load: async () => (await import('./commands/config.ts')).config },
  completion: {
    brief: 'Shell completion: a script for bash, zsh or fish',
    load: async () => (await import('./commands/completion.ts')).completion,
  },
  version: { brief: 'Versions of this command and of its agent', load: async () => (await import('./commands/version.ts')).version },
} as const satisfies Readonly<Record<string, Noun>>

export type NounName = keyof typeof NOUNS

export function isNoun(text: string | undefined): text is NounName {
  return text !== undefined && Object.hasOwn(NOUNS, text)
}

/** `noun` is the one whose verbs this run needs; null: none. */
export async function buildApp(noun: NounName | null, config: PartialApplicationConfiguration): Promise<Application<CliContext>> {
  const loaded = noun === null ? null : await NOUNS[noun].load()
  const routes: Record<string, Route> = {}
  for (const [name, { brief }] of Object.entries(NOUNS)) routes[name] = name === noun && loaded !== null ? loaded : unloaded(brief)
  const root = buildRouteMap<string, CliContext>({
    routes,
    docs: {
      brief: 'Hosts that run virtual machines, as one mesh',
      fullDescription: [
        'Hosts that run virtual machines, as one mesh without a centre. Every command works on every host.',
        '',
        'First host:   hostmesh agent --listen IP:PORT &     hostmesh init --name MESH',
        'Other hosts:  hostmesh agent --listen IP:PORT &     hostmesh join TOKEN',
      ].join('\n'),
    },
  })
  return buildApplication(root, config)
}

/** Stands for a noun that is named only: in the list of commands, and among suggestions. */
function unloaded(brief: string): Command<CliContext> {
  return buildCommand<Record<never, never>, [], CliContext>({
    loader: () => Promise.reject(new Error('this noun was not loaded')),
    parameters: {},
    docs: { brief, customUsage: ['VERB … --help'] },
  })
}
