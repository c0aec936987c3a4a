// The one table of the API: every route with its method, path, permission and schemas. Server, command line and page all read it.
import * as v from 'valibot'
import * as request from './types-requests.ts'
import * as answer from './types.ts'

export type Permission = 'read' | 'write'
type Schema = v.GenericSchema<unknown, unknown>

/**
 * What a route promises. `read`: the agreed state, stale and marked so without a quorum. `write`: checked, then proposed once per
 * idempotency key. `local`: of this host itself, also before it belongs to a mesh. `stream`: messages as server-sent events.
 */
export interface Endpoint {
  readonly kind: 'read' | 'write' | 'local' | 'stream'
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Under `/v1`; `:name` stands for a name, id or unique id prefix. */
  readonly path: string
  readonly permission: Permission
  readonly query: Schema
  readonly body: Schema
  /** Of the whole answer, or of one message of a stream. */
  readonly answer: Schema
}

const READ = { kind: 'read', method: 'GET', permission: 'read', query: request.NoQuery, body: request.NoBody } as const
const LOCAL = { kind: 'local', permission: 'read', query: request.NoQuery, body: request.NoBody } as const
const WRITE = { kind: 'write', permission: 'write', query: request.WriteQuery, body: request.NoBody, answer: answer.WriteAnswer } as const

export const CONTRACT = {
  version: { ...LOCAL, method: 'GET', path: '/version', answer: answer.VersionAnswer },
  init: { ...LOCAL, method: 'POST', path: '/mesh/init', permission: 'write', body: request.InitBody, answer: answer.InitAnswer },
  names: { ...LOCAL, method: 'GET', path: '/names', query: request.NamesQuery, answer: answer.NamesAnswer },
  join: {
    ...LOCAL,
    kind: 'stream',
    method: 'POST',
    path: '/mesh/join',
    permission: 'write',
    body: request.JoinBody,
    answer: answer.JoinMessage,
  },
  leaderTransfer: {
    ...LOCAL,
    kind: 'stream',
    method: 'POST',
    path: '/mesh/leader',
    permission: 'write',
    body: request.LeaderTransferBody,
    answer: answer.LeaderMessage,
  },
  recoveryPlan: { ...LOCAL, method: 'GET', path: '/mesh/recovery', answer: answer.RecoveryPlanAnswer },
  recover: {
    ...LOCAL,
    method: 'POST',
    path: '/mesh/recovery',
    permission: 'write',
    body: request.RecoverBody,
    answer: answer.RecoveredAnswer,
  },
  rejoin: { ...LOCAL, method: 'POST', path: '/mesh/rejoin', permission: 'write', body: request.RejoinBody, answer: answer.RecoveredAnswer },
  backup: { ...LOCAL, kind: 'stream', method: 'GET', path: '/mesh/backup', query: request.BackupQuery, answer: answer.BackupMessage },
  restore: {
    ...LOCAL,
    method: 'POST',
    path: '/mesh/restore',
    permission: 'write',
    body: request.RestoreBody,
    answer: answer.RestoreAnswer,
  },
  changes: { ...LOCAL, kind: 'stream', method: 'GET', path: '/changes', query: request.ChangesQuery, answer: answer.ChangeMessage },

  status: { ...READ, path: '/status', answer: answer.StatusAnswer },
  meshStatus: { ...READ, path: '/mesh', answer: answer.MeshAnswer },

  tokenList: { ...READ, path: '/tokens', answer: v.array(answer.TokenAnswer) },
  tokenCreate: { ...WRITE, method: 'POST', path: '/tokens', body: request.TokenCreateBody },
  tokenRevoke: { ...WRITE, method: 'DELETE', path: '/tokens/:token' },

  hostList: { ...READ, path: '/hosts', answer: v.array(answer.HostAnswer) },
  hostShow: { ...READ, path: '/hosts/:host', answer: answer.HostAnswer },
  hostSet: { ...WRITE, method: 'PATCH', path: '/hosts/:host', body: request.HostSetBody },
  hostRemove: { ...WRITE, method: 'DELETE', path: '/hosts/:host' },

  vmList: { ...READ, path: '/vms', answer: v.array(answer.VmAnswer) },
  vmShow: { ...READ, path: '/vms/:vm', answer: answer.VmAnswer },
  vmWhyNot: { ...READ, path: '/vms/:vm/why-not', query: request.WhyNotQuery, answer: answer.WhyNotAnswer },
  vmCreate: { ...WRITE, method: 'POST', path: '/vms', body: request.VmCreateBody },
  vmSet: { ...WRITE, method: 'PATCH', path: '/vms/:vm', body: request.VmSetBody },
  vmDelete: { ...WRITE, method: 'DELETE', path: '/vms/:vm', query: request.VmDeleteQuery },
  vmStart: { ...WRITE, method: 'POST', path: '/vms/:vm/start' },
  vmShutdown: { ...WRITE, method: 'POST', path: '/vms/:vm/shutdown' },
  vmStop: { ...WRITE, method: 'POST', path: '/vms/:vm/stop' },
  vmReboot: { ...WRITE, method: 'POST', path: '/vms/:vm/reboot', query: request.VmRebootQuery },
  vmPause: { ...WRITE, method: 'POST', path: '/vms/:vm/pause' },
  vmResume: { ...WRITE, method: 'POST', path: '/vms/:vm/resume' },
  consoleLog: { ...READ, path: '/vms/:vm/console/log', query: request.ConsoleLogQuery, answer: answer.ConsoleLogAnswer },

  datastoreList: { ...READ, path: '/datastores', answer: v.array(answer.DatastoreAnswer) },
  datastoreShow: { ...READ, path: '/datastores/:datastore', answer: answer.DatastoreAnswer },
  datastoreAdd: { ...WRITE, method: 'POST', path: '/datastores', body: request.DatastoreAddBody },
  datastoreRemove: { ...WRITE, method: 'DELETE', path: '/datastores/:datastore' },

  diskList: { ...READ, path: '/disks', query: request.DisksQuery, answer: v.array(answer.DiskAnswer) },
  diskShow: { ...READ, path: '/disks/:disk', answer: answer.DiskAnswer },
  diskCreate: { ...WRITE, method: 'POST', path: '/disks', body: request.DiskCreateBody },
  diskResize: { ...WRITE, method: 'PATCH', path: '/disks/:disk', body: request.DiskResizeBody },
  diskDelete: { ...WRITE, method: 'DELETE', path: '/disks/:disk' },

  jobList: { ...READ, path: '/jobs', query: request.JobsQuery, answer: v.array(answer.JobAnswer) },
  jobShow: { ...READ, path: '/jobs/:job', answer: answer.JobAnswer },
  jobCancel: { ...WRITE, method: 'POST', path: '/jobs/:job/cancel' },
  eventList: { ...READ, path: '/events', query: request.EventsQuery, answer: v.array(answer.EventAnswer) },

  configList: { ...READ, path: '/config', answer: v.array(answer.SettingAnswer) },
  configShow: { ...READ, path: '/config/:key', answer: answer.SettingAnswer },
  configSet: { ...WRITE, method: 'PUT', path: '/config/:key', body: request.ConfigSetBody },
} as const satisfies Readonly<Record<string, Endpoint>>

/** Upgraded to a WebSocket: bytes both ways, so it stands beside the table. */
export const CONSOLE_PATH = /^\/v1\/vms\/([^/]+)\/console$/

export type EndpointName = keyof typeof CONTRACT
export type Names<K extends Endpoint['kind']> = { [N in EndpointName]: (typeof CONTRACT)[N]['kind'] extends K ? N : never }[EndpointName]
export type ReadName = Names<'read'>
export type WriteName = Names<'write'>

export type Query<N extends EndpointName> = v.InferOutput<(typeof CONTRACT)[N]['query']>
export type Body<N extends EndpointName> = v.InferOutput<(typeof CONTRACT)[N]['body']>
export type Answer<N extends EndpointName> = v.InferOutput<(typeof CONTRACT)[N]['answer']>
/** The names after the colons of a path. */
export type Params<N extends EndpointName> = { readonly [K in ParamName<(typeof CONTRACT)[N]['path']>]: string }

type ParamName<Path extends string> = Path extends `${string}:${infer Name}/${infer Rest}`
  ? Name | ParamName<`/${Rest}`>
  : Path extends `${string}:${infer Name}`
    ? Name
    : never
