// Datastores: places that all hosts see, by name.
import { type Reason } from '../base/errors.ts'
import { allowed } from './allowed.ts'
import { type Command } from './command.ts'
import { type Draft } from './draft.ts'
import { type CommandResult } from './model.ts'
import { done, notFound, refused, taken } from './results.ts'
import { validate } from './validate.ts'

type DatastoreCommand = Extract<Command, { kind: 'datastore-add' | 'datastore-remove' }>

export function applyDatastore(draft: Draft, command: DatastoreCommand): CommandResult {
  switch (command.kind) {
    case 'datastore-add':
      return add(draft, command)
    case 'datastore-remove':
      return remove(draft, command)
  }
}

function add(draft: Draft, command: Extract<Command, { kind: 'datastore-add' }>): CommandResult {
  const { id, name, path } = command
  const others = [...draft.state.datastores.values()]
  const reasons: Reason[] = [...validate(command)]
  if (draft.state.datastores.has(id)) reasons.push({ code: 'id-taken', message: `datastore ${id} exists already` })
  if (others.some((other) => other.name === name)) reasons.push(taken('datastore', name))
  const samePlace = others.find((other) => other.path === path)
  if (samePlace !== undefined) reasons.push({ code: 'path-taken', message: `path ${path} is datastore ${samePlace.name} already` })
  if (reasons.length > 0) return refused(`datastore ${name} was not added`, reasons)
  draft.put('datastores', { id, name, kind: 'dir', path, addedAt: draft.at })
  draft.event('datastore.added', `datastore ${name}`, { id, path })
  return done({ id })
}

function remove(draft: Draft, command: Extract<Command, { kind: 'datastore-remove' }>): CommandResult {
  const datastore = draft.state.datastores.get(command.id)
  if (datastore === undefined) return notFound('datastore', command.id)
  const reasons = allowed(draft.state, 'datastore-remove', datastore)
  if (reasons.length > 0) return refused(`datastore ${datastore.name} cannot be removed`, reasons)
  draft.remove('datastores', datastore.id)
  draft.event('datastore.removed', `datastore ${datastore.name}`, { id: datastore.id })
  return done({ id: datastore.id })
}
