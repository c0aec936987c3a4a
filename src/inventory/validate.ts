// Field checks of people's commands: everything that can be judged by looking at the command alone. All reasons at once.
import { type Reason } from '../base/errors.ts'
import { type AdminCommand, type DiskWish, type VmCreate, type VmSet } from './command.ts'
import { type DirectBoot } from './model.ts'

/** Limits that keep the state, QEMU's arguments and a table on a terminal sane. */
export const LIMITS = {
  memoryMiB: { min: 16, max: 16 * 1024 ** 2 },
  vcpus: { min: 1, max: 512 },
  /** What pc-q35 takes on one PCI bus, with room for NICs. */
  disksPerVm: 16,
  diskBytes: { min: 1024 ** 2, max: 64 * 1024 ** 4 },
  /** Linux takes 4,095 on x86; the rest is room for what QEMU adds. */
  appendLength: 2_048,
  pathLength: 1_024,
  labels: 64,
  labelLength: 256,
  tokenUses: { min: 1, max: 1_000 },
  addresses: 16,
} as const

const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/
const QEMU_WORD = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/
/** QEMU keeps sizes of images in sectors. */
const SECTOR = 512

/** Reasons against the fields of `command`; empty: well-formed. Whether it fits the mesh as it is, is for `apply` to say. */
export function validate(command: AdminCommand): readonly Reason[] {
  switch (command.kind) {
    case 'token-create':
      return number('uses', command.uses, LIMITS.tokenUses)
    case 'host-set':
      return hostSet(command)
    case 'datastore-add':
      return [...nameReasons('datastore', command.name), ...absolutePath(command.path)]
    case 'disk-create':
      return [...nameReasons('disk', command.name), ...diskSize(command.name, command.sizeBytes)]
    case 'disk-resize':
      return diskSize(command.id, command.sizeBytes)
    case 'vm-create':
      return vmCreate(command)
    case 'vm-set':
      return vmSet(command)
    case 'token-revoke':
    case 'host-remove':
    case 'datastore-remove':
    case 'disk-delete':
    case 'vm-delete':
    case 'vm-start':
    case 'vm-shutdown':
    case 'vm-stop':
    case 'vm-reboot':
    case 'vm-pause':
    case 'vm-resume':
    case 'job-cancel':
    case 'config-set':
      return []
  }
}

export function nameReasons(noun: string, name: string): readonly Reason[] {
  if (NAME.test(name)) return []
  const message = `${noun} name ${quoted(name)} must be 1 to 63 of a-z, 0-9 and "-", and begin with a letter or digit`
  return [{ code: 'name', message, fix: 'choose a name like web-1' }]
}

/** Addresses of a host's listener: `IP:PORT`, `[IPv6]:PORT`. Names are never resolved, so they are no addresses. */
export function addressReasons(addresses: readonly string[]): readonly Reason[] {
  if (addresses.length === 0 || addresses.length > LIMITS.addresses) {
    return [{ code: 'address', message: `a host has 1 to ${LIMITS.addresses} addresses, found ${addresses.length}` }]
  }
  return addresses
    .filter((address) => !isAddress(address))
    .map((address) => ({
      code: 'address',
      message: `address ${quoted(address)} is not IP:PORT; names are not resolved`,
      fix: 'use 192.0.2.1:7946 or [2001:db8::1]:7946',
    }))
}

export function isAddress(address: string): boolean {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(address)
  if (match === null) return false
  const port = Number(match[3])
  const host = match[1] === undefined ? isIpv4(match[2] ?? '') : isIpv6(match[1])
  return host && port >= 1 && port <= 65_535
}

function isIpv4(text: string): boolean {
  const parts = text.split('.')
  return parts.length === 4 && parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)
}

/** RFC 4291, section 2.2: eight groups, one `::` for the groups that are left out, the last two also as IPv4; a zone (`%eth0`) may follow. */
function isIpv6(text: string): boolean {
  const [address = '', zone, ...more] = text.split('%')
  if (more.length > 0 || (zone !== undefined && !/^[A-Za-z0-9._-]{1,32}$/.test(zone))) return false
  const halves = address.split('::')
  if (halves.length > 2) return false
  const counts = halves.map((half, at) => groupCount(half, at === halves.length - 1))
  if (counts.includes(-1)) return false
  const groups = counts.reduce((sum, count) => sum + count, 0)
  return halves.length === 1 ? groups === 8 : groups <= 7
}

/** How many groups of 16 bits; -1 where one is none. */
function groupCount(half: string, isLast: boolean): number {
  if (half === '') return 0
  const parts = half.split(':')
  const last = parts.at(-1) ?? ''
  const tail = isLast && isIpv4(last) ? 2 : 0
  const hex = tail > 0 ? parts.slice(0, -1) : parts
  return hex.every((part) => /^[0-9a-fA-F]{1,4}$/.test(part)) ? hex.length + tail : -1
}

/** `DATASTORE/relative/path`, which stays inside the datastore. */
export function fileReasons(what: string, file: string): readonly Reason[] {
  const [datastore = '', ...path] = file.split('/')
  const inside = path.length > 0 && path.every((part) => part !== '' && part !== '.' && part !== '..')
  if (NAME.test(datastore) && inside && isPrintable(file) && file.length <= LIMITS.pathLength) return []
  return [
    {
      code: 'file',
      message: `${what} ${quoted(file)} is not DATASTORE/relative/path without ".."`,
      fix: 'use a path like images/debian.iso',
    },
  ]
}

function absolutePath(path: string): readonly Reason[] {
  const parts = path.split('/')
  const good = parts.length > 1 && parts[0] === '' && parts.slice(1).every((part) => part !== '' && part !== '.' && part !== '..')
  if (good && isPrintable(path) && path.length <= LIMITS.pathLength) return []
  const message = `path ${quoted(path)} must be absolute, without "..", doubled or closing "/", and of at most ${LIMITS.pathLength} characters`
  return [{ code: 'path', message, fix: 'use a path like /srv/vms' }]
}

function hostSet(command: Extract<AdminCommand, { kind: 'host-set' }>): readonly Reason[] {
  const labels = Object.entries(command.labels ?? {})
  const reasons: Reason[] = command.name === undefined ? [] : [...nameReasons('host', command.name)]
  if (command.name === undefined && command.labels === undefined) reasons.push(nothing())
  if (labels.length > LIMITS.labels)
    reasons.push({ code: 'labels', message: `a host has at most ${LIMITS.labels} labels, found ${labels.length}` })
  for (const [key, value] of labels) {
    reasons.push(...nameReasons('label', key))
    if (value !== null && (value.length > LIMITS.labelLength || !isPrintable(value))) {
      reasons.push({ code: 'label', message: `label ${key} must be at most ${LIMITS.labelLength} printable characters` })
    }
  }
  return reasons
}

function vmCreate(command: VmCreate): readonly Reason[] {
  const { name, vcpus, memoryMiB, disks } = command
  const tooMany = disks.length > LIMITS.disksPerVm
  return [
    ...nameReasons('VM', name),
    ...number('vcpus', vcpus, LIMITS.vcpus),
    ...number('memory in MiB', memoryMiB, LIMITS.memoryMiB),
    ...word('CPU model', command.cpu),
    ...word('machine type', command.machineType),
    ...(tooMany ? [{ code: 'disks', message: `a VM has at most ${LIMITS.disksPerVm} disks, found ${disks.length}` }] : []),
    ...disks.flatMap(diskWish),
    ...(command.cdrom === null ? [] : fileReasons('CD-ROM', command.cdrom)),
    ...(command.boot === null ? [] : directBoot(command.boot)),
  ]
}

function vmSet(command: VmSet): readonly Reason[] {
  const { name, vcpus, memoryMiB, cpu, boot, cdrom } = command
  const { kind: _, vm: __, ...changes } = command
  return [
    ...(Object.values(changes).every((value) => value === undefined) ? [nothing()] : []),
    ...(name === undefined ? [] : nameReasons('VM', name)),
    ...(vcpus === undefined ? [] : number('vcpus', vcpus, LIMITS.vcpus)),
    ...(memoryMiB === undefined ? [] : number('memory in MiB', memoryMiB, LIMITS.memoryMiB)),
    ...(cpu === undefined ? [] : word('CPU model', cpu)),
    ...(cdrom === undefined || cdrom === null ? [] : fileReasons('CD-ROM', cdrom)),
    ...(boot === undefined || boot === null ? [] : directBoot(boot)),
  ]
}

function diskWish(wish: DiskWish): readonly Reason[] {
  return wish.kind === 'existing' ? [] : [...nameReasons('disk', wish.name), ...diskSize(wish.name, wish.sizeBytes)]
}

function directBoot(boot: DirectBoot): readonly Reason[] {
  const tooLong = boot.append.length > LIMITS.appendLength || !isPrintable(boot.append)
  const append = { code: 'append', message: `the kernel's command line must be at most ${LIMITS.appendLength} printable characters` }
  return [
    ...fileReasons('kernel', boot.kernel),
    ...(boot.initrd === null ? [] : fileReasons('initrd', boot.initrd)),
    ...(tooLong ? [append] : []),
  ]
}

function diskSize(disk: string, bytes: number): readonly Reason[] {
  const { min, max } = LIMITS.diskBytes
  if (Number.isSafeInteger(bytes) && bytes >= min && bytes <= max && bytes % SECTOR === 0) return []
  return [
    { code: 'disk-size', message: `disk ${disk} must have 1 MiB to 64 TiB in whole sectors of ${SECTOR} bytes, found ${bytes} bytes` },
  ]
}

function number(what: string, value: number, { min, max }: { readonly min: number; readonly max: number }): readonly Reason[] {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return []
  return [{ code: 'range', message: `${what} must be a whole number from ${min} to ${max}, found ${value}` }]
}

function word(what: string, value: string): readonly Reason[] {
  if (QEMU_WORD.test(value)) return []
  return [{ code: 'word', message: `${what} ${quoted(value)} is not one word of letters, digits and . _ + -` }]
}

function nothing(): Reason {
  return { code: 'nothing-to-change', message: 'no change was named', fix: 'name what to change, for example --memory 2048' }
}

/** No control characters: they would break terminals, logs and QEMU's monitor. */
function isPrintable(text: string): boolean {
  return /^\P{Cc}*$/u.test(text)
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}
