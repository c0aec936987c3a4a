// `hostmesh event …`: what happened, and what happens.
import { buildCommand, buildRouteMap } from '@stricli/core'
import type { EventAnswer } from '../../api/types.ts'
import { backoffMs } from '../../base/backoff.ts'
import { sleep } from '../../base/clock.ts'
import { deadline } from '../../base/deadline.ts'
import { hasCode } from '../../base/errors.ts'
import type { Paint } from '../color.ts'
import type { CliContext } from '../context.ts'
import { commonAliases, type CommonFlags, commonFlags, parseCount } from '../flags.ts'
import { clientFor, paintFor, show } from '../show.ts'
import { formatTime } from '../units-text.ts'

interface Filter {
  readonly object?: string
  readonly type?: string
}

interface ListFlags extends CommonFlags, Filter {
  readonly limit?: number
  readonly since?: number
}

const filterFlags = {
  object: { kind: 'parsed', parse: String, optional: true, placeholder: 'NAME', brief: 'Only of this object' },
  type: { kind: 'parsed', parse: String, optional: true, placeholder: 'TYPE', brief: 'Only of this type, as vm.started' },
} as const

const list = buildCommand<ListFlags, [], CliContext>({
  docs: { brief: 'The last events, the newest last' },
  parameters: {
    flags: {
      ...commonFlags,
      ...filterFlags,
      limit: { kind: 'parsed', parse: parseCount, optional: true, placeholder: 'N', brief: 'How many (default: 100)' },
      since: { kind: 'parsed', parse: parseCount, optional: true, placeholder: 'INDEX', brief: 'Only after this index of the log' },
    },
    aliases: commonAliases,
  },
  func(flags) {
    const { object, type, limit, since } = flags
    const query = {
      ...(object === undefined ? {} : { object }),
      ...(type === undefined ? {} : { type }),
      ...(limit === undefined ? {} : { limit: String(limit) }),
      ...(since === undefined ? {} : { since: String(since) }),
    }
    return show(this, flags, {
      route: 'eventList',
      input: { query },
      text: (events, paint) => events.map((event) => eventLine(event, paint)).join(''),
    })
  },
})

interface WatchFlags extends CommonFlags, Filter {
  readonly count?: number
  readonly since?: number
}

/** An agent that restarts is back within a second. */
const RECONNECT = { firstMs: 100, maxMs: 1_000 }

const watch = buildCommand<WatchFlags, [], CliContext>({
  docs: { brief: 'Events as they happen, until Ctrl-C, --count or --timeout' },
  parameters: {
    flags: {
      ...commonFlags,
      ...filterFlags,
      count: { kind: 'parsed', parse: parseCount, optional: true, placeholder: 'N', brief: 'End after so many' },
      since: {
        kind: 'parsed',
        parse: parseCount,
        optional: true,
        placeholder: 'INDEX',
        brief: 'Begin with those after this index of the log',
      },
    },
    aliases: commonAliases,
  },
  async func(flags) {
    const { io } = this
    // Without --timeout it ends with Ctrl-C only.
    const limit = flags.timeout === undefined ? null : deadline(io.clock, flags.timeout * 1000, 'watching events')
    const signal = limit?.signal ?? new AbortController().signal
    try {
      await watchEvents(this, flags, signal)
    } catch (error) {
      // To watch for a while is what --timeout asks for here, no failure.
      if (!signal.aborted || !hasCode(error, 'timeout')) throw error
    } finally {
      limit?.done()
    }
  },
})

export const event = buildRouteMap({ routes: { list, watch }, docs: { brief: 'What happened' } })

async function watchEvents(context: CliContext, flags: WatchFlags, signal: AbortSignal): Promise<void> {
  const { io } = context
  const client = clientFor(context, flags)
  const paint = paintFor(context, flags)
  let since = flags.since
  let heard = false
  let left = flags.count ?? Number.POSITIVE_INFINITY
  for (let attempt = 0; ; attempt += 1) {
    try {
      const query = since === undefined ? {} : { since: String(since) }
      for await (const message of client.follow('changes', { query }, { signal })) {
        attempt = 0
        heard = true
        since = message.index
        for (const one of message.events.filter((found) => matches(found, flags))) {
          io.stdout.write(flags.output === 'json' ? `${JSON.stringify(one)}\n` : eventLine(one, paint))
          left -= 1
          if (left === 0) return
        }
      }
    } catch (error) {
      // Who never heard the agent has named the wrong one; who did, waits for it to come back.
      if (signal.aborted || !heard || !hasCode(error, 'unreachable')) throw error
    }
    await sleep(io.clock, backoffMs(attempt, RECONNECT, io.random), signal)
  }
}

function matches({ object, type }: EventAnswer, wanted: Filter): boolean {
  const isAbout = wanted.object === undefined || object === wanted.object || object.endsWith(` ${wanted.object}`)
  return isAbout && (wanted.type === undefined || type === wanted.type)
}

/** One line an event: events of many hosts are read side by side, and piped into grep. */
function eventLine({ index, time, type, object, actor, reason, data }: EventAnswer, paint: Paint): string {
  const why = reason === null ? '' : `  "${reason}"`
  const facts = Object.entries(data)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  return `${formatTime(time)}  ${String(index).padStart(6)}  ${paint('bold', type.padEnd(20))}  ${object}  ${paint('dim', `by ${actor}`)}${why}${facts.length === 0 ? '' : `  ${paint('dim', facts.join(' '))}`}\n`
}
