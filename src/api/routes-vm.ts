// Routes of VMs as things: seen, created, changed, deleted. Their power is in routes-power.ts.
import { whyNot } from '../scheduler/explain.ts'
import { fileHost } from './file-host.ts'
import { freshId } from './fresh-id.ts'
import { type ReadHandlers, type WriteHandlers } from './handler.ts'
import { findHost, findVm } from './resolve.ts'
import { byName, vmAnswer } from './shapes.ts'
import { sightOf } from './sight.ts'
import { planCreate, planSet } from './vm-plan.ts'

/** What a person scrolls through; the ring of a host keeps more. */
const CONSOLE_BYTES = 64 * 1024
const MAX_CONSOLE_BYTES = 1024 ** 2

export const vmReads: ReadHandlers<'vmList' | 'vmShow' | 'vmWhyNot' | 'consoleLog'> = {
  vmList({ context, inventory }) {
    const sight = sightOf(context, inventory)
    return byName(inventory.vms.values()).map((vm) => vmAnswer(sight, vm))
  },
  vmShow: ({ context, inventory, params }) => vmAnswer(sightOf(context, inventory), findVm(inventory, params.vm)),
  vmWhyNot({ context, inventory, params, query }) {
    const vm = findVm(inventory, params.vm)
    const host = findHost(inventory, query.host)
    return { vm: vm.name, host: host.name, reasons: [...whyNot(sightOf(context, inventory), vm, host)] }
  },
  async consoleLog({ context, inventory, params, query, signal }) {
    const vm = findVm(inventory, params.vm)
    const bytes = await context.console.log(vm.id, Math.min(query.bytes ?? CONSOLE_BYTES, MAX_CONSOLE_BYTES), signal)
    return { vm: vm.name, base64: Buffer.from(bytes).toString('base64') }
  },
}

export const vmWrites: WriteHandlers<'vmCreate' | 'vmSet' | 'vmDelete'> = {
  vmCreate: planCreate,
  vmSet: (request) => planSet(request, findVm(request.inventory, request.params.vm)),
  vmDelete({ context, inventory, params, query: { keepDisks = false } }) {
    const { id, name, spec } = findVm(inventory, params.vm)
    const disks = spec.disks.flatMap((disk) => inventory.disks.get(disk) ?? [])
    const worker = fileHost(
      sightOf(context, inventory),
      context.self.id,
      disks.map(({ datastore }) => datastore),
    )
    return {
      what: `delete VM ${name}`,
      command: { kind: 'vm-delete', vm: id, keepDisks, host: worker.id, job: freshId(context) },
      steps: [`forget VM ${name}`, ...disks.map((disk) => `${keepDisks ? 'keep' : 'delete'} disk ${disk.name}`)],
    }
  },
}
