// Routes of hosts and of the tokens that let new ones in.
import { type ReadHandlers, type WriteHandlers } from './handler.ts'
import { planToken } from './new-token.ts'
import { findHost, findToken } from './resolve.ts'
import { byName, hostAnswer, tokenAnswer } from './shapes.ts'
import { sightOf } from './sight.ts'

export const hostReads: ReadHandlers<'hostList' | 'hostShow' | 'tokenList'> = {
  hostList({ context, inventory }) {
    const sight = sightOf(context, inventory)
    return byName(inventory.hosts.values()).map((host) => hostAnswer(sight, host))
  },
  hostShow: ({ context, inventory, params }) => hostAnswer(sightOf(context, inventory), findHost(inventory, params.host)),
  tokenList({ context, inventory }) {
    const tokens = [...inventory.tokens.values()].toSorted((a, b) => a.createdAt - b.createdAt)
    return tokens.map((token) => tokenAnswer(inventory, token, context.clock.wall()))
  },
}

export const hostWrites: WriteHandlers<'hostSet' | 'hostRemove' | 'tokenCreate' | 'tokenRevoke'> = {
  hostSet({ inventory, params, body }) {
    const host = findHost(inventory, params.host)
    const { name, labels } = body
    const command = {
      kind: 'host-set' as const,
      host: host.id,
      ...(name === undefined ? {} : { name }),
      ...(labels === undefined ? {} : { labels }),
    }
    const steps = [
      ...(name === undefined ? [] : [`rename host ${host.name} to ${name}`]),
      ...Object.entries(labels ?? {}).map(([key, value]) => (value === null ? `take label ${key} away` : `set label ${key} to ${value}`)),
    ]
    return { what: `change host ${host.name}`, command, steps }
  },
  hostRemove({ inventory, params }) {
    const { id, name, role } = findHost(inventory, params.host)
    const steps = [`take ${role} ${name} out of the mesh`, 'cut it off: it needs a new token to join again']
    return { what: `remove host ${name}`, command: { kind: 'host-remove', host: id }, steps }
  },
  tokenCreate: planToken,
  tokenRevoke({ inventory, params }) {
    const { id, role, uses, usedBy } = findToken(inventory, params.token)
    const steps = [`let no further ${role} in with token ${id} (${usedBy.length} of ${uses} uses are taken)`]
    return { what: `revoke token ${id}`, command: { kind: 'token-revoke', id }, steps }
  },
}
