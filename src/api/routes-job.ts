// Routes of what happens and happened: jobs and events.
import { type ReadHandlers, type WriteHandlers } from './handler.ts'
import { findJob } from './resolve.ts'
import { eventAnswer, jobAnswer } from './shapes.ts'

/** What a person reads; `limit` asks for more, up to all that the mesh keeps. */
const EVENTS_SHOWN = 100

export const jobReads: ReadHandlers<'jobList' | 'jobShow' | 'eventList'> = {
  jobList({ inventory, query }) {
    const jobs = [...inventory.jobs.values()].filter((job) => query.open !== true || job.endedAt === null)
    return jobs.toSorted((a, b) => a.startedAt - b.startedAt).map(jobAnswer)
  },
  jobShow: ({ inventory, params }) => jobAnswer(findJob(inventory, params.job)),
  eventList({ inventory, query }) {
    const { since = -1, limit = EVENTS_SHOWN, object, type } = query
    const wanted = inventory.events.filter(
      (event) =>
        event.index > since && (object === undefined || isAbout(event.object, object)) && (type === undefined || event.type === type),
    )
    return wanted.slice(Math.max(0, wanted.length - limit)).map(eventAnswer)
  },
}

export const jobWrites: WriteHandlers<'jobCancel'> = {
  jobCancel({ inventory, params }) {
    const { id, kind, name } = findJob(inventory, params.job)
    return { what: `cancel job ${id}`, command: { kind: 'job-cancel', job: id }, steps: [`cancel ${kind} of ${name}`] }
  },
}

/** The object of an event reads `vm web`: both the name and the whole are what a person may type. */
function isAbout(eventObject: string, text: string): boolean {
  return eventObject === text || eventObject.endsWith(` ${text}`)
}
