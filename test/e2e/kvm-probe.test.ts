// The probe guest really runs, and what it found is asked for once a boot.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { realClock } from '../../src/base/clock.ts'
import { guestRuns, probeAccelerator } from '../../src/vm/kvm-probe.ts'
import { QEMU, qemuFacts } from '../../src/vm/qemu-facts.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'

describe('the probe', () => {
  it('knows that a guest ran, and that one did not', async () => {
    expect(await guestRuns({ qemu: QEMU, clock: realClock }, 'tcg')).toBe(true)
    expect(await guestRuns({ qemu: '/bin/true', clock: realClock }, 'tcg')).toBe(false)
    expect(await guestRuns({ qemu: '/bin/false', clock: realClock }, 'tcg')).toBe(false)
    expect(await guestRuns({ qemu: '/nowhere/qemu', clock: realClock }, 'tcg')).toBe(false)
  })

  it('is made once a boot of the kernel, and again after damage', async () => {
    const file = join(await temporaryDirectory(), 'accelerator.json')
    const probe = (bootId: string) => probeAccelerator({ qemu: '/nowhere/qemu', file, bootId, clock: realClock })
    expect(await probe('one')).toBe('tcg')
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ bootId: 'one', accelerator: 'tcg' })
    await writeFile(file, '{"bootId":"one","accelerator":"kvm"}')
    expect(await probe('one')).toBe('kvm')
    expect(await probe('two')).toBe('tcg')
    for (const damage of ['', '{', '{"bootId":"two"}', '{"bootId":"two","accelerator":"xen"}']) {
      await writeFile(file, damage)
      expect(await probe('two')).toBe('tcg')
    }
  })

  it('is part of what a host tells of its QEMU', async () => {
    const dataDir = await temporaryDirectory()
    const facts = await qemuFacts({ dataDir, bootId: 'one', clock: realClock })
    expect(facts).toMatchObject({ qemuVersion: expect.stringMatching(/^\d+\.\d+/), accelerator: expect.stringMatching(/kvm|tcg/) })
    expect(facts.machineTypes[0]).toMatch(/^pc-q35-\d+\.\d+$/)
  })
})
