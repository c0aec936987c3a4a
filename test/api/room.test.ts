// Room is judged by the code that places: now, or in the mesh at its best.
import { describe, expect, it } from 'vitest'
import { roomEver, roomNow } from '../../src/api/room.ts'
import { NO_LOAD } from '../../src/inventory/load.ts'
import { type Liveness } from '../../src/inventory/view.ts'
import { placeableOf } from '../../src/scheduler/world.ts'
import { aMeshWithRunningVm, hostId, someVm } from '../fixture/inventory.ts'

const { now: inventory } = aMeshWithRunningVm({ hosts: 2, facts: { memoryMiB: 1024 } })
const up = (...names: readonly string[]): Liveness => new Map(names.map((name) => [hostId(name), 'up']))
// 512 MiB of each host are its own, `web` has 256 of h1.
const vm = (memoryMiB: number) => placeableOf(someVm('new', { memoryMiB }))

describe('room now', () => {
  it('names the host and why it is the one', () => {
    expect(roomNow({ inventory, load: NO_LOAD, liveness: up('h1', 'h2') }, vm(512))).toEqual({
      kind: 'room',
      step: expect.stringMatching(/^start it on h2, as things are now: /),
    })
  })

  it('is refused with the reasons of every host', () => {
    const room = roomNow({ inventory, load: NO_LOAD, liveness: up('h1') }, vm(512))
    expect(room).toMatchObject({ kind: 'none', reasons: [{ code: 'memory' }, { code: 'liveness' }] })
  })
})

describe('room ever', () => {
  it('does not mind what runs, nor who is away for now', () => {
    expect(roomEver({ inventory }, vm(512)).kind).toBe('room')
  })

  it('is refused to a VM that is larger than any host', () => {
    expect(roomEver({ inventory }, vm(513))).toMatchObject({ kind: 'none', reasons: [{ code: 'memory' }, { code: 'memory' }] })
  })

  it('counts a host that is still joining', () => {
    const joining = new Map([...inventory.hosts].map(([id, host]) => [id, { ...host, status: 'joining' as const }]))
    expect(roomEver({ inventory: { ...inventory, hosts: joining } }, vm(512)).kind).toBe('room')
  })
})
