// VMs for people: the list, and one in full. Pure.
import type { VmAnswer } from '../api/types.ts'
import { formatBytes } from '../base/units.ts'
import { type Paint, stateColor } from './color.ts'
import { list, table } from './table.ts'
import { formatMHz, formatMiB, formatSeconds, formatTime } from './units-text.ts'

export function vmTable(vms: readonly VmAnswer[], paint: Paint): string {
  return table<VmAnswer>(
    [
      { title: 'VM', cell: ({ name }) => name },
      { title: 'STATE', cell: ({ state }) => state, color: ({ state }) => stateColor(state) },
      { title: 'HOST', cell: ({ owner }) => owner?.host ?? '-' },
      { title: 'VCPUS', right: true, cell: ({ vcpus }) => String(vcpus) },
      { title: 'MEMORY', right: true, cell: ({ memoryMiB }) => formatMiB(memoryMiB) },
      { title: 'CPU', right: true, cell: ({ usage }) => formatMHz(usage.cpuMHz) },
      { title: 'UPTIME', right: true, cell: ({ uptimeS }) => formatSeconds(uptimeS) },
      { title: 'HA', cell: ({ ha }) => ha },
    ],
    vms,
    paint,
  )
}

export function vmText(vm: VmAnswer, paint: Paint): string {
  const { owner, boot, usage } = vm
  const facts = list([
    ['VM', vm.name],
    ['id', vm.id],
    ['state', `${paint(stateColor(vm.state), vm.state)}${vm.desired === 'off' ? '' : ` (wanted ${vm.desired})`}`],
    ['host', owner === null ? '' : `${owner.host}, epoch ${owner.epoch}`],
    ['uptime', vm.uptimeS === null ? '' : formatSeconds(vm.uptimeS)],
    ['vCPUs', `${vm.vcpus}, CPU ${vm.cpu}${usage.cpuMHz === null ? '' : `, ${formatMHz(usage.cpuMHz)} in use`}`],
    ['memory', `${formatMiB(vm.memoryMiB)}${usage.memoryMiB === null ? '' : `, ${formatMiB(usage.memoryMiB)} in use`}`],
    ['machine', `${vm.machineType}, ${vm.firmware}`],
    ['kernel', boot?.kernel ?? ''],
    ['initrd', boot?.initrd ?? ''],
    ['append', boot?.append ?? ''],
    ['CD-ROM', vm.cdrom ?? ''],
    ['HA', `${vm.ha}, priority ${vm.priority}`],
    ['DRS', vm.drs],
    ['created', formatTime(vm.createdAt)],
    ['fault', vm.fault === null ? '' : `${paint('red', vm.fault.kind)} at ${formatTime(vm.fault.at)}`],
  ])
  const reasons = (vm.fault?.reasons ?? []).map(
    ({ message, fix }) => `  - ${message}${fix === undefined ? '' : `\n    ${paint('dim', 'mend:')} ${fix}`}\n`,
  )
  return [facts, ...reasons, ...(vm.disks.length === 0 ? [] : ['\n', diskTable(vm.disks, paint)])].join('')
}

export function diskTable(disks: VmAnswer['disks'], paint: Paint): string {
  return table<VmAnswer['disks'][number]>(
    [
      { title: 'DISK', cell: ({ datastore, name }) => `${datastore}/${name}` },
      { title: 'STATE', cell: ({ state }) => state, color: ({ state }) => stateColor(state) },
      { title: 'SIZE', right: true, cell: ({ sizeBytes }) => formatBytes(sizeBytes) },
      { title: 'FORMAT', cell: ({ format }) => format },
      { title: 'VM', cell: ({ vm }) => vm ?? '-' },
      { title: 'ERROR', cell: ({ error }) => error ?? '' },
    ],
    disks,
    paint,
  )
}
