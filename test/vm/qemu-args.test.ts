// QEMU's command line, word for word: what stands here cannot be changed on a running guest.
import { describe, expect, it } from 'vitest'
import { type VmId } from '../../src/base/ids.ts'
import { type StartSpec } from '../../src/vm/driver.ts'
import { qemuArguments, type RunPlace } from '../../src/vm/qemu-args.ts'

const SPEC: StartSpec = {
  vm: '0123456789abcdef' as VmId,
  epoch: { generation: 1, counter: 2 },
  name: 'web',
  vcpus: 2,
  memoryMiB: 1024,
  cpu: 'mesh-baseline',
  firmware: 'bios',
  machineType: 'pc-q35-10.0',
  disks: [],
  cdrom: null,
  boot: null,
  paused: false,
}
const PLACE: RunPlace = {
  qemu: '/usr/bin/qemu-system-x86_64',
  accelerator: 'tcg',
  directory: '/v/runs/r',
  consoleLog: '/v/consoles/web',
  uefi: null,
}
const QCOW2 = { id: 'aaaaaaaaaaaaaaaa', path: '/ds/a.qcow2', format: 'qcow2', sizeBytes: 1024 ** 3 } as const
const RAW = { id: 'bbbbbbbbbbbbbbbb', path: '/ds/b.raw', format: 'raw', sizeBytes: 512 } as const

/** One option a line with its value, as a person would write it. */
function lines(argv: readonly string[]): string[] {
  const found: string[] = []
  for (const word of argv) {
    if (word.startsWith('-') || found.length === 0) found.push(word)
    else found[found.length - 1] += ` ${word}`
  }
  return found
}

/** The values of one option, parsed where they are JSON. */
function values(argv: readonly string[], option: string): unknown[] {
  return argv
    .flatMap((word, at) => (word === option ? [argv[at + 1] ?? ''] : []))
    .map((text) => (text.startsWith('{') ? JSON.parse(text) : text))
}

describe('the command line', () => {
  it('of a guest with one disk, word for word', () => {
    expect(lines(qemuArguments({ ...SPEC, disks: [QCOW2] }, PLACE))).toEqual([
      '/usr/bin/qemu-system-x86_64',
      '-no-user-config',
      '-nodefaults',
      '-only-migratable',
      '-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
      '-name guest=web,debug-threads=on',
      '-msg timestamp=on',
      '-S',
      '-action reboot=reset,shutdown=pause,panic=pause,watchdog=reset',
      '-machine type=pc-q35-10.0,dump-guest-core=off',
      '-accel tcg,thread=multi,tb-size=128',
      '-cpu qemu64-v1,+cx16,+lahf-lm,+popcnt,+pni,+sse4.1,+sse4.2,+ssse3,enforce',
      '-smp cpus=2,sockets=1,cores=2,threads=1',
      '-m size=1024M',
      '-uuid ce09b7f6-17df-80b6-8b6a-630a875e260d',
      '-rtc base=utc',
      '-display none',
      '-vga none',
      '-chardev socket,id=agent-qmp,path=/v/runs/r/agent.qmp,server=on,wait=off',
      '-mon chardev=agent-qmp,mode=control',
      '-chardev socket,id=warden-qmp,path=/v/runs/r/warden.qmp,server=on,wait=off',
      '-mon chardev=warden-qmp,mode=control',
      '-chardev socket,id=console,path=/v/runs/r/console.sock,server=on,wait=off,logfile=/v/consoles/web,logappend=on',
      '-device {"driver":"isa-serial","chardev":"console"}',
      '-device {"driver":"pcie-root-port","id":"port0","bus":"pcie.0","addr":"0x10.0","chassis":1,"multifunction":true}',
      ...[1, 2, 3, 4, 5, 6, 7].map(
        (at) =>
          `-device {"driver":"pcie-root-port","id":"port${at}","bus":"pcie.0","addr":"0x10.${at}","chassis":${at + 1},"multifunction":false}`,
      ),
      '-device {"driver":"pcie-root-port","id":"port8","bus":"pcie.0","addr":"0x11.0","chassis":9,"multifunction":true}',
      '-blockdev {"driver":"file","node-name":"file-aaaaaaaaaaaaaaaa","filename":"/ds/a.qcow2","locking":"on","aio":"threads",' +
        '"cache":{"direct":true,"no-flush":false},"discard":"unmap","read-only":false,"auto-read-only":false}',
      '-blockdev {"driver":"qcow2","node-name":"disk-aaaaaaaaaaaaaaaa","file":"file-aaaaaaaaaaaaaaaa",' +
        '"cache":{"direct":true,"no-flush":false},"discard":"unmap","read-only":false,"auto-read-only":false,"backing":null}',
      '-blockdev {"driver":"null-co","node-name":"null-aaaaaaaaaaaaaaaa","size":1073741824,"read-zeroes":true}',
      '-blockdev {"driver":"blkdebug","node-name":"fence-aaaaaaaaaaaaaaaa","image":"null-aaaaaaaaaaaaaaaa","inject-error":[' +
        ['read', 'write', 'write-zeroes', 'discard'].map((iotype) => `{"event":"none","iotype":"${iotype}","errno":5}`).join() +
        ']}',
      '-device {"driver":"virtio-blk-pci","id":"virtio-aaaaaaaaaaaaaaaa","drive":"disk-aaaaaaaaaaaaaaaa","serial":"aaaaaaaaaaaaaaaa",' +
        '"bootindex":1,"werror":"stop","rerror":"stop","bus":"port0"}',
      '-device {"driver":"virtio-balloon-pci","id":"balloon","deflate-on-oom":true}',
      '-object {"qom-type":"rng-random","id":"rng","filename":"/dev/urandom"}',
      '-device {"driver":"virtio-rng-pci","rng":"rng"}',
      '-device {"driver":"pvpanic"}',
      '-device {"driver":"vmgenid","guid":"c19ad237-d7ce-8f3c-808f-27b23398abf7"}',
    ])
  })

  it('boots the disks in their order, then the CD, each disk behind a port of its own', () => {
    const argv = qemuArguments({ ...SPEC, disks: [QCOW2, RAW], cdrom: '/ds/debian.iso' }, PLACE)
    const devices = values(argv, '-device').filter((device) => JSON.stringify(device).includes('bootindex'))
    expect(devices).toMatchObject([
      { drive: 'disk-aaaaaaaaaaaaaaaa', bootindex: 1, bus: 'port0' },
      { drive: 'disk-bbbbbbbbbbbbbbbb', bootindex: 2, bus: 'port1' },
      { driver: 'ide-cd', drive: 'cdrom', bootindex: 3 },
    ])
    expect(values(argv, '-blockdev')).toContainEqual({
      driver: 'file',
      'node-name': 'cdrom-file',
      filename: '/ds/debian.iso',
      'read-only': true,
    })
  })

  it('has a raw disk without a format of its own above the file, and every disk uncached', () => {
    const nodes = values(qemuArguments({ ...SPEC, disks: [RAW, QCOW2] }, PLACE), '-blockdev')
    expect(nodes).toContainEqual(
      expect.objectContaining({ driver: 'raw', 'node-name': 'disk-bbbbbbbbbbbbbbbb', file: 'file-bbbbbbbbbbbbbbbb' }),
    )
    const writable = nodes.filter((node) => JSON.stringify(node).includes('"read-only":false'))
    expect(writable).toHaveLength(4)
    for (const node of writable) expect(node).toMatchObject({ cache: { direct: true, 'no-flush': false } })
  })

  it('keeps free ports for eight devices more, on as many slots as needed', () => {
    const ports = (disks: number): unknown[] => {
      const many = Array.from({ length: disks }, (_, at) => ({ ...RAW, id: `disk${String(at).padStart(12, '0')}` }))
      return values(qemuArguments({ ...SPEC, disks: many }, PLACE), '-device').filter((device) =>
        JSON.stringify(device).includes('pcie-root-port'),
      )
    }
    expect(ports(0)).toHaveLength(8)
    const most = ports(16)
    expect(most).toHaveLength(24)
    expect(most.at(-1)).toMatchObject({ id: 'port23', addr: '0x12.7', chassis: 24 })
    expect(new Set(most.map((port) => JSON.stringify(port).match(/0x\w+\.\d/)?.[0])).size).toBe(24)
  })

  it('gives the older machine type no ports that it does not know', () => {
    const argv = qemuArguments({ ...SPEC, machineType: 'pc-i440fx-9.2', disks: [RAW] }, PLACE)
    expect(argv.join(' ')).not.toMatch(/pcie|"bus":"port/)
    expect(values(argv, '-machine')).toEqual(['type=pc-i440fx-9.2,dump-guest-core=off'])
  })

  it('boots a kernel with its own line, which may hold commas and spaces', () => {
    const boot = { kernel: '/ds/vmlinuz', initrd: '/ds/initrd', append: 'console=ttyS0,115200 quiet' }
    const argv = qemuArguments({ ...SPEC, boot }, PLACE)
    expect(lines(argv)).toEqual(expect.arrayContaining(['-kernel /ds/vmlinuz', '-initrd /ds/initrd', '-append console=ttyS0,115200 quiet']))
    const bare = lines(qemuArguments({ ...SPEC, boot: { kernel: '/ds/vmlinuz', initrd: null, append: '' } }, PLACE))
    expect(bare).toContain('-kernel /ds/vmlinuz')
    expect(bare.filter((line) => /^-(initrd|append)/.test(line))).toEqual([])
  })

  it('uses KVM where the place has it', () => {
    const argv = qemuArguments({ ...SPEC, cpu: 'host' }, { ...PLACE, accelerator: 'kvm' })
    expect(values(argv, '-accel')).toEqual(['kvm'])
    expect(values(argv, '-cpu')).toEqual(['host,migratable=on'])
  })

  it('has the same machine for every run of a VM, and a new generation id for each', () => {
    const ids = (spec: StartSpec): readonly unknown[] => {
      const argv = qemuArguments(spec, PLACE)
      return [values(argv, '-uuid')[0], JSON.stringify(values(argv, '-device').at(-1))]
    }
    const [machine, generation] = ids(SPEC)
    expect(ids(SPEC)).toEqual([machine, generation])
    const next = ids({ ...SPEC, epoch: { generation: 1, counter: 3 } })
    expect(next[0]).toBe(machine)
    expect(next[1]).not.toBe(generation)
    expect(ids({ ...SPEC, vm: 'fedcba9876543210' as VmId })[0]).not.toBe(machine)
    expect(String(machine)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })
})

describe('text from outside', () => {
  it('cannot bring options of its own: commas are doubled', () => {
    const argv = qemuArguments({ ...SPEC, name: 'a,process=b' }, { ...PLACE, directory: '/v/x,y', consoleLog: '/v/c,server=off' })
    expect(argv).toContain('guest=a,,process=b,debug-threads=on')
    expect(argv).toContain('socket,id=agent-qmp,path=/v/x,,y/agent.qmp,server=on,wait=off')
    expect(argv.find((word) => word.includes('logfile'))).toContain('logfile=/v/c,,server=off,logappend=on')
  })

  it.each(['pc,accel=kvm', '', '-machine', 'pc q35'])('is no machine type: %j', (machineType) => {
    expect(() => qemuArguments({ ...SPEC, machineType }, PLACE)).toThrow(expect.objectContaining({ code: 'usage' }))
  })

  it('that makes a path too long for a socket is refused with the numbers', () => {
    const directory = `/${'d'.repeat(107 - '/'.length - '/console.sock'.length)}`
    expect(() => qemuArguments(SPEC, { ...PLACE, directory })).not.toThrow()
    expect(() => qemuArguments(SPEC, { ...PLACE, directory: `${directory}d` })).toThrow(
      expect.objectContaining({
        code: 'refused',
        reasons: [expect.objectContaining({ code: 'socket-path', message: expect.stringContaining('108 bytes, the kernel takes 107') })],
      }),
    )
    // Bytes count, not characters.
    expect(() => qemuArguments(SPEC, { ...PLACE, directory: `${directory.slice(0, -1)}ü` })).toThrow(
      expect.objectContaining({ code: 'refused' }),
    )
  })
})

describe('UEFI', () => {
  it("is the firmware's code, and variables of the run's own", () => {
    const uefi = { code: '/fw/code.fd', variables: '/v/runs/r/vars.fd' }
    const argv = qemuArguments({ ...SPEC, firmware: 'uefi' }, { ...PLACE, uefi })
    expect(values(argv, '-machine')).toEqual(['type=pc-q35-10.0,dump-guest-core=off,pflash0=uefi-code,pflash1=uefi-variables'])
    expect(values(argv, '-blockdev')).toEqual([
      { driver: 'file', 'node-name': 'uefi-code', filename: '/fw/code.fd', 'read-only': true },
      { driver: 'file', 'node-name': 'uefi-variables', filename: '/v/runs/r/vars.fd', 'read-only': false },
    ])
  })

  it('is refused on a host that has no firmware, with what mends it', () => {
    expect(() => qemuArguments({ ...SPEC, firmware: 'uefi' }, PLACE)).toThrow(
      expect.objectContaining({
        code: 'refused',
        reasons: [expect.objectContaining({ code: 'no-uefi', fix: expect.stringContaining('ovmf') })],
      }),
    )
  })
})
