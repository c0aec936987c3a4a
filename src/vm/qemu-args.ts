// QEMU's command line for one run, as data: the start specification and what this host has go in, the argument list comes out. Pure.
//
// Most of it cannot be changed on a running guest: later features (fencing, migration, hot plug) depend on what stands here.
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { OperationError } from '../base/errors.ts'
import { type Fields } from '../base/parse.ts'
import { cpuArgument } from './cpu-model.ts'
import { fenceNodes, fileNode, fileNodeName, formatNode, formatNodeName } from './disk-nodes.ts'
import { type StartSpec } from './driver.ts'
import { runKey } from './run-rules.ts'
import { AGENT_MONITOR, CONSOLE_SOCKET, WARDEN_MONITOR } from './warden-protocol.ts'

/** What a run needs of this host beside its specification. */
export interface RunPlace {
  /** The program; absolute, or looked up in PATH. */
  readonly qemu: string
  readonly accelerator: 'kvm' | 'tcg'
  /** Of this run alone: sockets and QEMU's output. */
  readonly directory: string
  /** What the guest writes to its serial port is appended here. */
  readonly consoleLog: string
  /** For `uefi`: the firmware's code, and this run's own copy of its variables. */
  readonly uefi: { readonly code: string; readonly variables: string } | null
}

/** sizeof(sun_path) less the closing NUL. */
const MAX_SOCKET_PATH_BYTES = 107
/** Translated code of an emulated guest; QEMU's own default, up to 1 GiB of resident memory a guest, would starve a host of small ones. */
const TCG_BUFFER_MIB = 128
/** Free places for NICs and disks plugged in later. Eight functions share one slot of the root bus. */
const SPARE_PORTS = 8
const PORTS_PER_SLOT = 8
/** Slots below are QEMU's own and those of devices that are never unplugged; 0x1f is the chipset. */
const FIRST_PORT_SLOT = 0x10

/** Throws `usage` for a name that would not reach QEMU as one word, `refused` where a socket's path is too long or the firmware is missing. */
export function qemuArguments(spec: StartSpec, place: RunPlace): string[] {
  return [
    place.qemu,
    ...['-no-user-config', '-nodefaults', '-only-migratable'],
    // Nothing that a guest breaks into can start programs, gain rights or change priorities.
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...['-name', `guest=${escaped(spec.name)},debug-threads=on`, '-msg', 'timestamp=on'],
    // The CPUs wait for the warden's word: a QEMU that lost its parent during the start never runs.
    ...['-S', '-action', 'reboot=reset,shutdown=pause,panic=pause,watchdog=reset'],
    ...machine(spec, place),
    ...monitors(place),
    ...console(place),
    ...ports(spec),
    ...spec.disks.flatMap((disk, index) => diskArguments(spec, disk, index)),
    ...cdrom(spec),
    ...directBoot(spec),
    ...helpers(spec),
  ]
}

function machine(spec: StartSpec, place: RunPlace): string[] {
  if (!/^[a-z0-9][a-z0-9._-]*$/i.test(spec.machineType)) {
    throw new OperationError('usage', `machine type "${spec.machineType}" is no name of a QEMU machine type`)
  }
  const pflash = spec.firmware === 'uefi' ? ',pflash0=uefi-code,pflash1=uefi-variables' : ''
  const tcg = `tcg,thread=multi,tb-size=${TCG_BUFFER_MIB}`
  return [
    ...firmware(spec, place),
    ...['-machine', `type=${spec.machineType},dump-guest-core=off${pflash}`],
    ...['-accel', place.accelerator === 'kvm' ? 'kvm' : tcg],
    ...['-cpu', cpuArgument(spec.cpu, place.accelerator)],
    ...['-smp', `cpus=${spec.vcpus},sockets=1,cores=${spec.vcpus},threads=1`],
    // Plain RAM: what a later migration needs to know of it is its size only.
    ...['-m', `size=${spec.memoryMiB}M`],
    ...['-uuid', uuidOf(spec.vm), '-rtc', 'base=utc'],
    ...['-display', 'none', '-vga', 'none'],
  ]
}

function firmware(spec: StartSpec, place: RunPlace): string[] {
  if (spec.firmware === 'bios') return []
  if (place.uefi === null) {
    throw new OperationError('refused', `VM ${spec.name} wants UEFI firmware, and this host has none`, {
      reasons: [
        { code: 'no-uefi', message: 'no OVMF firmware (OVMF_CODE_4M.fd) was found on this host', fix: 'install the package ovmf on it' },
      ],
    })
  }
  const { code, variables } = place.uefi
  return [
    ...blockdev({ driver: 'file', 'node-name': 'uefi-code', filename: code, 'read-only': true }),
    ...blockdev({ driver: 'file', 'node-name': 'uefi-variables', filename: variables, 'read-only': false }),
  ]
}

/** Two, because QEMU serves one client at each: the agent's may hang or be filtered while the warden's works. */
function monitors(place: RunPlace): string[] {
  return [AGENT_MONITOR, WARDEN_MONITOR].flatMap((name) => {
    const id = name.replace('.', '-')
    return ['-chardev', `socket,id=${id},${listening(place, name)}`, '-mon', `chardev=${id},mode=control`]
  })
}

/** QEMU itself keeps the log, so that nothing is lost while no agent runs; the socket is for whoever types. */
function console(place: RunPlace): string[] {
  const log = `logfile=${escaped(place.consoleLog)},logappend=on`
  return [
    ...['-chardev', `socket,id=console,${listening(place, CONSOLE_SOCKET)},${log}`],
    ...device({ driver: 'isa-serial', chardev: 'console' }),
  ]
}

function listening(place: RunPlace, name: string): string {
  const path = join(place.directory, name)
  const bytes = Buffer.byteLength(path)
  if (bytes > MAX_SOCKET_PATH_BYTES) {
    throw new OperationError('refused', `the path of a socket is too long for the kernel: ${path}`, {
      reasons: [
        {
          code: 'socket-path',
          message: `${path} has ${bytes} bytes, the kernel takes ${MAX_SOCKET_PATH_BYTES}`,
          fix: 'start the agent with a data directory of a shorter name',
        },
      ],
    })
  }
  return `path=${escaped(path)},server=on,wait=off`
}

/** On PCI Express a device can only be plugged in and out below a root port, and ports can't be added later. i440fx needs none. */
function ports(spec: StartSpec): string[] {
  if (!isQ35(spec)) return []
  const count = spec.disks.length + SPARE_PORTS
  return Array.from({ length: count }, (_, index) => {
    const slot = FIRST_PORT_SLOT + Math.floor(index / PORTS_PER_SLOT)
    const func = index % PORTS_PER_SLOT
    const addr = `0x${slot.toString(16)}.${func}`
    return device({ driver: 'pcie-root-port', id: portName(index), bus: 'pcie.0', addr, chassis: index + 1, multifunction: func === 0 })
  }).flat()
}

function diskArguments(spec: StartSpec, disk: StartSpec['disks'][number], index: number): string[] {
  return [
    ...blockdev(fileNode(disk)),
    ...blockdev(formatNode(disk, fileNodeName(disk))),
    ...fenceNodes(disk).flatMap(blockdev),
    ...device({
      driver: 'virtio-blk-pci',
      id: `virtio-${disk.id}`,
      drive: formatNodeName(disk),
      serial: disk.id,
      bootindex: index + 1,
      // A failing disk pauses the guest: it finds its disk as it left it once storage is back, and no error to panic about.
      werror: 'stop',
      rerror: 'stop',
      ...(isQ35(spec) ? { bus: portName(index) } : {}),
    }),
  ]
}

/** Tried after the disks: an installed system boots from its disk, an empty disk from the CD. */
function cdrom(spec: StartSpec): string[] {
  if (spec.cdrom === null) return []
  return [
    ...blockdev({ driver: 'file', 'node-name': 'cdrom-file', filename: spec.cdrom, 'read-only': true }),
    ...blockdev({ driver: 'raw', 'node-name': 'cdrom', file: 'cdrom-file', 'read-only': true }),
    ...device({ driver: 'ide-cd', id: 'cdrom-drive', bus: 'ide.0', drive: 'cdrom', bootindex: spec.disks.length + 1 }),
  ]
}

function directBoot(spec: StartSpec): string[] {
  if (spec.boot === null) return []
  const { kernel, initrd, append } = spec.boot
  return ['-kernel', kernel, ...(initrd === null ? [] : ['-initrd', initrd]), ...(append === '' ? [] : ['-append', append])]
}

/** Devices that guests use on their own: memory that can be given back, chance, a way to tell a panic, and the mark of a new run. */
function helpers(spec: StartSpec): string[] {
  return [
    ...device({ driver: 'virtio-balloon-pci', id: 'balloon', 'deflate-on-oom': true }),
    ...['-object', JSON.stringify({ 'qom-type': 'rng-random', id: 'rng', filename: '/dev/urandom' })],
    ...device({ driver: 'virtio-rng-pci', rng: 'rng' }),
    ...device({ driver: 'pvpanic' }),
    // Another run may go on from an older state of the disk: what must not be used twice (keys, nonces) is made anew.
    ...device({ driver: 'vmgenid', guid: uuidOf(runKey(spec)) }),
  ]
}

function isQ35(spec: StartSpec): boolean {
  return spec.machineType.includes('q35')
}

function portName(index: number): string {
  return `port${index}`
}

function blockdev(node: Fields): string[] {
  return ['-blockdev', JSON.stringify(node)]
}

function device(properties: Fields): string[] {
  return ['-device', JSON.stringify(properties)]
}

/** In QEMU's key=value lists a comma ends the value, a doubled one is a comma. */
function escaped(value: string): string {
  return value.replaceAll(',', ',,')
}

/** A name-based UUID (RFC 9562, version 8): the same for the same text, on every host. */
function uuidOf(text: string): string {
  const bytes = createHash('sha256').update(`hostmesh ${text}`).digest().subarray(0, 16)
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
