// How a host knows that what is said of a removal is about itself, and how people read it.
import { describe, expect, it } from 'vitest'
import { heardRemoval, noticesOf, ownRemoval, removalText } from '../../src/cluster/removal.ts'
import { aMesh, hostId, memberId, meshId } from '../fixture/inventory.ts'

function afterRemoval() {
  const log = aMesh({ hosts: 3 })
  log.do({ kind: 'host-remove', host: hostId('h3') }, { actor: 'admin@h1', reason: 'sold', at: Date.UTC(2026, 10, 25, 7, 20, 11) })
  return log.now
}

const told = {
  mesh: { id: meshId('mesh1'), name: 'lab' },
  member: memberId(3),
  at: Date.UTC(2026, 10, 25, 7, 20, 11),
  by: 'admin@h1',
  reason: 'sold',
}

describe('a removal', () => {
  it('is told to the host that it is about', () => {
    expect(noticesOf(afterRemoval())).toEqual([{ host: 'h3', notice: told }])
    expect(noticesOf(aMesh({ hosts: 3 }).now)).toEqual([])
  })

  it("is known from the host's own log, for the member that it was", () => {
    expect(ownRemoval(afterRemoval(), hostId('h3'), memberId(3))).toEqual(told)
    expect(ownRemoval(afterRemoval(), hostId('h3'), memberId(33))).toBeUndefined()
    expect(ownRemoval(afterRemoval(), hostId('h2'), memberId(3))).toBeUndefined()
  })

  it.each([
    ['another member', { ...told, member: 33 }],
    ['another mesh', { ...told, mesh: { id: 'mesh2', name: 'lab' } }],
    ['nothing', undefined],
    ['half of it', { member: 3 }],
  ])('that somebody tells of %s is not heeded', (_, notice) => {
    expect(heardRemoval(told, meshId('mesh1'), memberId(3))).toEqual(told)
    expect(heardRemoval(notice, meshId('mesh1'), memberId(3))).toBeUndefined()
  })

  it('reads as a sentence', () => {
    expect(removalText(told)).toBe('removed from mesh lab on 2026-11-25 07:20:11 UTC by admin@h1 (sold)')
    expect(removalText({ ...told, reason: null })).toBe('removed from mesh lab on 2026-11-25 07:20:11 UTC by admin@h1')
  })
})
