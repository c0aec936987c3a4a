// `hostmesh job …`: what is being done, and what became of it.
import { buildCommand, buildRouteMap } from '@stricli/core'
import type { JobAnswer } from '../../api/types.ts'
import { deadline } from '../../base/deadline.ts'
import { change, writeQuery } from '../change.ts'
import { type Paint, stateColor } from '../color.ts'
import type { CliContext } from '../context.ts'
import { reasonLines } from '../error-text.ts'
import { commonAliases, type CommonFlags, commonFlags, type WriteFlags, writeFlags } from '../flags.ts'
import { objectName } from '../names.ts'
import { startProgress } from '../progress.ts'
import { ask, clientFor, paintFor, printJson, show } from '../show.ts'
import { list, table } from '../table.ts'
import { formatTime } from '../units-text.ts'
import { waitForJob } from '../wait.ts'

const jobArgument = objectName('job', 'JOB', 'Id, or the beginning of it')
/** As long as the verbs that begin jobs wait for them. */
const WAIT_TIMEOUT_S = 300

interface ListFlags extends CommonFlags {
  readonly open: boolean
}

const listJobs = buildCommand<ListFlags, [], CliContext>({
  docs: { brief: 'Jobs, the newest last' },
  parameters: {
    flags: { ...commonFlags, open: { kind: 'boolean', default: false, withNegated: false, brief: 'Only those that have not ended' } },
    aliases: commonAliases,
  },
  func(flags) {
    return show(this, flags, { route: 'jobList', input: { query: flags.open ? { open: '1' } : {} }, text: jobTable })
  },
})

const showJob = buildCommand<CommonFlags, [string], CliContext>({
  docs: { brief: 'Everything about one job' },
  parameters: { flags: commonFlags, aliases: commonAliases, positional: { kind: 'tuple', parameters: [jobArgument] } },
  func(flags, job) {
    return show(this, flags, { route: 'jobShow', input: { params: { job } }, text: jobText })
  },
})

const wait = buildCommand<CommonFlags, [string], CliContext>({
  docs: { brief: 'Wait until a job has ended; ends as the job did' },
  parameters: { flags: commonFlags, aliases: commonAliases, positional: { kind: 'tuple', parameters: [jobArgument] } },
  async func(flags, name) {
    const { io } = this
    const { id, kind, object } = (await ask(this, flags, { route: 'jobShow', input: { params: { job: name } } })).answer
    const limit = deadline(io.clock, (flags.timeout ?? WAIT_TIMEOUT_S) * 1000, `job ${id}`)
    const progress = startProgress(io.stderr, io.clock, `${kind} ${object.name}`)
    try {
      const job = await waitForJob(clientFor(this, flags), id, progress, { clock: io.clock, random: io.random, signal: limit.signal })
      progress.end()
      if (flags.output === 'json') printJson(this, job)
      else io.stdout.write(jobText(job, paintFor(this, flags)))
    } finally {
      progress.end()
      limit.done()
    }
  },
})

const cancel = buildCommand<WriteFlags, [string], CliContext>({
  docs: { brief: 'Cancel a job, where that is still possible' },
  parameters: { flags: writeFlags, aliases: commonAliases, positional: { kind: 'tuple', parameters: [jobArgument] } },
  func(flags, job) {
    return change(this, flags, {
      route: 'jobCancel',
      input: { params: { job }, query: writeQuery(flags) },
      title: `cancel job ${job}`,
      done: () => `job ${job} is cancelled`,
    })
  },
})

export const job = buildRouteMap({ routes: { list: listJobs, show: showJob, cancel, wait }, docs: { brief: 'What is being done' } })

function jobTable(jobs: readonly JobAnswer[], paint: Paint): string {
  return table<JobAnswer>(
    [
      { title: 'JOB', cell: ({ id }) => id },
      { title: 'KIND', cell: ({ kind }) => kind },
      { title: 'OBJECT', cell: ({ object }) => object.name },
      { title: 'PHASE', cell: ({ phase }) => phase, color: ({ phase }) => stateColor(phase) },
      { title: '%', right: true, cell: ({ percent }) => String(percent) },
      { title: 'STARTED', cell: ({ startedAt }) => formatTime(startedAt) },
      { title: 'STEP', cell: ({ step, error }) => error?.message ?? step },
    ],
    jobs,
    paint,
  )
}

function jobText({ id, kind, object, phase, step, percent, startedAt, endedAt, error }: JobAnswer, paint: Paint): string {
  const facts = list([
    ['job', id],
    ['kind', kind],
    ['object', `${object.kind} ${object.name} (${object.id})`],
    ['phase', `${paint(stateColor(phase), phase)}, ${percent} %`],
    ['step', step],
    ['started', formatTime(startedAt)],
    ['ended', endedAt === null ? '' : formatTime(endedAt)],
    ['error', error?.message ?? ''],
  ])
  const reasons = (error?.reasons ?? []).flatMap(({ fix, ...reason }) =>
    reasonLines(fix === undefined ? reason : { ...reason, fix }, error?.message ?? '', paint),
  )
  return facts + reasons.map((line) => `${line}\n`).join('')
}
