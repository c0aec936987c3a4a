// A new VM gets a machine type that every host can run.
import { expect, it } from 'vitest'
import { commonMachineType } from '../../src/api/machine-type.ts'
import { type Host, type HostFacts } from '../../src/inventory/model.ts'
import { aMesh, hostId } from '../fixture/inventory.ts'

function meshOf(types: Readonly<Record<string, readonly string[]>>, role: Host['role'] = 'host') {
  const { hosts } = aMesh({ hosts: Object.keys(types).length }).now
  const rows = Object.entries(types).map(([name, machineTypes]): [Host['id'], Host] => {
    const host = hosts.get(hostId(name))
    if (host === undefined) throw new Error(`no host ${name}`)
    const facts: HostFacts = { ...host.facts, machineTypes }
    return [host.id, { ...host, facts, role: name === 'h3' ? role : 'host' }]
  })
  return { hosts: new Map(rows) }
}

it('is the newest that all hosts know', () => {
  expect(commonMachineType(meshOf({ h1: ['q35-10', 'q35-9', 'q35-8'], h2: ['q35-9', 'q35-8'] }))).toEqual({ machineType: 'q35-9' })
})

it('does not depend on witnesses, nor on hosts without QEMU', () => {
  expect(commonMachineType(meshOf({ h1: ['q35-10', 'q35-9'], h2: [], h3: ['q35-8'] }, 'witness'))).toEqual({ machineType: 'q35-10' })
})

it('is refused where hosts have none in common, naming their versions', () => {
  expect(commonMachineType(meshOf({ h1: ['q35-10'], h2: ['q35-8'] }))).toMatchObject({
    reason: { code: 'machine-type', message: expect.stringContaining('h1 10.0.2, h2 10.0.2') },
  })
})

it('is refused where no host has QEMU', () => {
  expect(commonMachineType(meshOf({ h1: [], h2: [] }))).toMatchObject({ reason: { code: 'no-qemu' } })
})
