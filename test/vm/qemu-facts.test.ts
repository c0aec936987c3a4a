// What a host tells of its QEMU.
import { describe, expect, it } from 'vitest'
import { realClock } from '../../src/base/clock.ts'
import { parseMachineTypes, parseVersion, qemuFacts } from '../../src/vm/qemu-facts.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'

const HELP = `Supported machines are:
microvm              microvm (i386)
pc-i440fx-9.2        Standard PC (i440FX + PIIX, 1996)
pc-i440fx-2.12       Standard PC (i440FX + PIIX, 1996) (deprecated)
pc-i440fx-2.4        Standard PC (i440FX + PIIX, 1996) (deprecated)
pc                   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-10.0)
pc-i440fx-10.0       Standard PC (i440FX + PIIX, 1996) (default)
pc-q35-9.2           Standard PC (Q35 + ICH9, 2009)
pc-q35-4.0           Standard PC (Q35 + ICH9, 2009)
pc-q35-4.0.1         Standard PC (Q35 + ICH9, 2009)
q35                  Standard PC (Q35 + ICH9, 2009) (alias of pc-q35-10.0)
pc-q35-10.0          Standard PC (Q35 + ICH9, 2009)
isapc                ISA-only PC
none                 empty machine
x-remote             Experimental remote machine
`

describe('the facts of QEMU', () => {
  it('hold the versioned machine types: the default family first, newest first as numbers go', () => {
    expect(parseMachineTypes(HELP)).toEqual([
      'pc-q35-10.0',
      'pc-q35-9.2',
      'pc-q35-4.0.1',
      'pc-q35-4.0',
      'pc-i440fx-10.0',
      'pc-i440fx-9.2',
      'pc-i440fx-2.12',
      'pc-i440fx-2.4',
    ])
    expect(parseMachineTypes('')).toEqual([])
  })

  it('hold the version, without the distribution', () => {
    expect(parseVersion('QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1~bpo12+1)\nCopyright')).toBe('10.0.2')
    expect(parseVersion('something else')).toBeNull()
  })

  it('of a host without QEMU say so', async () => {
    const dataDir = await temporaryDirectory()
    expect(await qemuFacts({ dataDir, bootId: 'b', clock: realClock, qemu: '/nowhere/qemu' })).toEqual({
      qemuVersion: null,
      machineTypes: [],
      accelerator: 'tcg',
    })
  })
})
