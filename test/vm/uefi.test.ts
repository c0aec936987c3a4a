// UEFI firmware is code and a template of variables, found together or not at all.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { copyVariables, findUefi } from '../../src/vm/uefi.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'

describe('UEFI firmware', () => {
  it('is the first pair of which both parts are there', async () => {
    const directory = await temporaryDirectory()
    const place = (name: string) => ({ code: join(directory, `${name}-code.fd`), variablesTemplate: join(directory, `${name}-vars.fd`) })
    const places = [place('none'), place('half'), place('whole'), place('other')]
    for (const name of ['half-code', 'whole-code', 'whole-vars', 'other-code', 'other-vars'])
      await writeFile(join(directory, `${name}.fd`), name)
    expect(await findUefi(places)).toEqual(place('whole'))
    expect(await findUefi(places.slice(0, 2))).toBeNull()
    expect(await findUefi([])).toBeNull()
  })

  it('has its variables copied for a run, never over those of one that was tried', async () => {
    const directory = await temporaryDirectory()
    const firmware = { code: join(directory, 'code.fd'), variablesTemplate: join(directory, 'vars.fd') }
    await writeFile(firmware.variablesTemplate, 'template')
    const own = join(directory, 'own.fd')
    await copyVariables(firmware, own)
    expect(await readFile(own, 'utf8')).toBe('template')
    await writeFile(own, 'changed by the guest')
    await expect(copyVariables(firmware, own)).rejects.toThrow(/EEXIST/)
    expect(await readFile(own, 'utf8')).toBe('changed by the guest')
  })
})
