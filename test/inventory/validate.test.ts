// Field checks of people's commands: what is well-formed, and all reasons where it is not.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type AdminCommand } from '../../src/inventory/command.ts'
import { addressReasons, isAddress, LIMITS, nameReasons, validate } from '../../src/inventory/validate.ts'
import { datastoreId, diskId, hostId, jobId, someVm, tokenId, vmId } from '../fixture/inventory.ts'

const codesOf = (command: AdminCommand) => validate(command).map(({ code }) => code)

describe('a name', () => {
  it.each(['a', '0', 'web-1', 'a'.repeat(63), '9-'])('%s is one', (name) => expect(nameReasons('VM', name)).toEqual([]))

  it.each(['', '-a', 'A', 'web_1', 'web.1', 'a'.repeat(64), 'wéb', 'a b', 'a\n', '../x', 'web\u0000'])('%j is none', (name) => {
    expect(nameReasons('VM', name)).toMatchObject([{ code: 'name', fix: expect.any(String) }])
  })
})

describe('an address', () => {
  it.each([
    '192.0.2.1:7946',
    '0.0.0.0:1',
    '255.255.255.255:65535',
    '[::]:80',
    '[::1]:80',
    '[2001:db8::1]:7946',
    '[1:2:3:4:5:6:7:8]:80',
    '[1:2:3:4:5:6:7::]:80',
    '[::2:3:4:5:6:7:8]:80',
    '[::ffff:192.0.2.1]:80',
    '[1:2:3:4:5:6:192.0.2.1]:80',
    '[fe80::1%eth0.1]:80',
  ])('%s is one', (address) => expect(isAddress(address)).toBe(true))

  it.each([
    'h1:7946',
    'h1.example:7946',
    'localhost:1',
    '192.0.2.1',
    '192.0.2.1:',
    '192.0.2.1:0',
    '192.0.2.1:65536',
    '192.0.2.1:123456',
    '192.0.2:1',
    '192.0.2.256:1',
    '192.0.2.01:1',
    '192.0.2.1.5:1',
    ':7946',
    '::1:80',
    '[::1]',
    '[::1]80',
    '[1:2:3:4:5:6:7]:80',
    '[1:2:3:4:5:6:7:8:9]:80',
    '[1:2:3:4:5:6:7:8::]:80',
    '[1::2::3]:80',
    '[12345::]:80',
    '[g::]:80',
    '[192.0.2.1::]:80',
    '[::192.0.2.1:1]:80',
    '[fe80::1%]:80',
    '[fe80::1%a%b]:80',
    '[]:80',
    '[192.0.2.1]:80',
    '192.0.2.1:80 ',
  ])('%s is none', (address) => expect(isAddress(address)).toBe(false))

  it('is never a name that could be looked up', () => {
    const label = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/)
    fc.assert(fc.property(fc.array(label, { minLength: 1, maxLength: 4 }), (labels) => !isAddress(`${labels.join('.')}:7946`)))
  })

  it('takes every IPv4 address and port', () => {
    fc.assert(fc.property(fc.ipV4(), fc.integer({ min: 1, max: 65_535 }), (ip, port) => isAddress(`${ip}:${port}`)))
  })

  it('takes every IPv6 address in brackets, and none without', () => {
    fc.assert(
      fc.property(
        fc.ipV6(),
        fc.integer({ min: 1, max: 65_535 }),
        (ip, port) => isAddress(`[${ip}]:${port}`) && !isAddress(`${ip}:${port}`),
      ),
    )
  })

  it('of a host must be there, not too many, and each is judged', () => {
    expect(addressReasons([])).toHaveLength(1)
    expect(addressReasons(Array.from({ length: LIMITS.addresses + 1 }, () => '192.0.2.1:1'))).toHaveLength(1)
    expect(addressReasons(Array.from({ length: LIMITS.addresses }, () => '192.0.2.1:1'))).toEqual([])
    expect(addressReasons(['a:1', '192.0.2.1:1', 'b:1']).map(({ message }) => message)).toEqual([
      'address "a:1" is not IP:PORT; names are not resolved',
      'address "b:1" is not IP:PORT; names are not resolved',
    ])
  })
})

describe('vm-create', () => {
  it('with everything at its limits is fine', () => {
    expect(codesOf(someVm('web', { vcpus: 1, memoryMiB: 16 }))).toEqual([])
    const most = { vcpus: LIMITS.vcpus.max, memoryMiB: LIMITS.memoryMiB.max, cdrom: 'iso/a/b.iso' }
    expect(codesOf(someVm('web', { ...most, boot: { kernel: 'k/vmlinuz', initrd: 'k/initrd', append: 'a'.repeat(2_048) } }))).toEqual([])
    const disks = Array.from({ length: LIMITS.disksPerVm }, (_, at) => ({ kind: 'existing', disk: diskId(`d${at}`) }) as const)
    expect(codesOf(someVm('web', { disks }))).toEqual([])
    expect(codesOf(someVm('web', { disks: [...disks, { kind: 'existing', disk: diskId('one-more') }] }))).toEqual(['disks'])
  })

  it.each([
    [{ name: 'Web' }, 'name'],
    [{ vcpus: 0 }, 'range'],
    [{ vcpus: 513 }, 'range'],
    [{ vcpus: 1.5 }, 'range'],
    [{ memoryMiB: 15 }, 'range'],
    [{ memoryMiB: LIMITS.memoryMiB.max + 1 }, 'range'],
    [{ memoryMiB: Number.NaN }, 'range'],
    [{ cpu: '' }, 'word'],
    [{ cpu: 'host,migratable=off' }, 'word'],
    [{ machineType: 'pc q35' }, 'word'],
    [{ cdrom: 'x.iso' }, 'file'],
    [{ cdrom: '/srv/x.iso' }, 'file'],
    [{ cdrom: 'data/../../etc/shadow' }, 'file'],
    [{ cdrom: 'data//x.iso' }, 'file'],
    [{ cdrom: 'data/./x.iso' }, 'file'],
    [{ cdrom: 'data/' }, 'file'],
    [{ cdrom: 'Data/x.iso' }, 'file'],
    [{ cdrom: `data/${'x'.repeat(1_024)}` }, 'file'],
    [{ boot: { kernel: '../vmlinuz', initrd: null, append: '' } }, 'file'],
    [{ boot: { kernel: 'k/vmlinuz', initrd: 'initrd', append: '' } }, 'file'],
    [{ boot: { kernel: 'k/vmlinuz', initrd: null, append: 'a'.repeat(2_049) } }, 'append'],
    [{ boot: { kernel: 'k/vmlinuz', initrd: null, append: 'quiet\nroot' } }, 'append'],
  ] as const)('with %j is refused for its %s', (changes, code) => expect(codesOf(someVm('web', changes))).toEqual([code]))

  it('says all reasons at once', () => {
    const disks = [{ kind: 'new', id: diskId('d'), name: 'D', datastore: datastoreId('s'), format: 'raw', sizeBytes: 1 }] as const
    expect(codesOf(someVm('Web', { vcpus: 0, memoryMiB: 0, disks, cdrom: 'x' }))).toEqual([
      'name',
      'range',
      'range',
      'name',
      'disk-size',
      'file',
    ])
  })
})

describe('sizes of disks', () => {
  const resize = (sizeBytes: number) => codesOf({ kind: 'disk-resize', id: diskId('d'), sizeBytes, host: hostId('h'), job: jobId('j') })
  it.each([1_048_576, 1_048_576 + 512, 64 * 1024 ** 4])('%i bytes do', (size) => expect(resize(size)).toEqual([]))
  it.each([0, -1_048_576, 1_048_575, 1_048_576 + 511, 64 * 1024 ** 4 + 512, 1.5 * 1_048_577, Number.POSITIVE_INFINITY])(
    '%d bytes do not',
    (size) => {
      expect(resize(size)).toEqual(['disk-size'])
    },
  )
})

describe('paths of datastores', () => {
  const add = (path: string) => codesOf({ kind: 'datastore-add', id: datastoreId('s'), name: 's', path })
  it.each(['/srv', '/srv/vms', '/srv/with space/ü'])('%s does', (path) => expect(add(path)).toEqual([]))
  it.each(['', '/', 'srv', './srv', '/srv/', '/srv//vms', '/srv/../etc', '/srv/.', '/srv\n', `/${'x'.repeat(1_024)}`])(
    '%j does not',
    (path) => {
      expect(add(path)).toEqual(['path'])
    },
  )
})

describe('host-set', () => {
  const set = (changes: Partial<Extract<AdminCommand, { kind: 'host-set' }>>) =>
    codesOf({ kind: 'host-set', host: hostId('h1'), ...changes })
  it('judges name, keys and values of labels, and their number', () => {
    expect(set({ name: 'h-1', labels: { rack: 'A 7', old: null } })).toEqual([])
    expect(set({})).toEqual(['nothing-to-change'])
    expect(set({ name: 'H' })).toEqual(['name'])
    expect(set({ labels: { Rack: 'a' } })).toEqual(['name'])
    expect(set({ labels: { rack: 'a\u001b[0m' } })).toEqual(['label'])
    expect(set({ labels: { rack: 'a'.repeat(257) } })).toEqual(['label'])
    const labels = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, 'v']))
    expect(set({ labels: labels(64) })).toEqual([])
    expect(set({ labels: labels(65) })).toEqual(['labels'])
  })
})

describe('vm-set', () => {
  const set = (changes: Partial<Extract<AdminCommand, { kind: 'vm-set' }>>) => codesOf({ kind: 'vm-set', vm: vmId('web'), ...changes })
  it('judges each field that is named', () => {
    expect(set({ name: 'web', vcpus: 2, memoryMiB: 64, cpu: 'max', boot: null, cdrom: null, ha: 'off' })).toEqual([])
    expect(set({ name: 'W', vcpus: 0, memoryMiB: 1, cpu: '?', cdrom: 'x', boot: { kernel: 'k', initrd: null, append: '' } })).toEqual([
      'name',
      'range',
      'range',
      'word',
      'file',
      'file',
    ])
    expect(set({})).toEqual(['nothing-to-change'])
  })
})

it('what has no fields to judge is fine', () => {
  const ids = { vm: vmId('web'), job: jobId('j'), host: hostId('h1') }
  const commands: readonly AdminCommand[] = [
    { kind: 'vm-start', ...ids },
    { kind: 'vm-delete', keepDisks: true, ...ids },
    { kind: 'token-revoke', id: tokenId('t') },
    { kind: 'host-remove', host: ids.host },
    { kind: 'job-cancel', job: ids.job },
    { kind: 'config-set', key: 'x', value: null },
  ]
  for (const command of commands) expect(validate(command)).toEqual([])
})

it('a long value is shown by its beginning', () => {
  const [reason] = nameReasons('VM', 'X'.repeat(5_000))
  expect(reason?.message.length).toBeLessThan(250)
})
