// Backups on disk: what was written is read again, and what is no whole backup is refused by its reason.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { loadBackup } from '../../src/cluster/renewal.ts'
import { rowLine } from '../../src/inventory/backup-lines.ts'
import { type Inventory } from '../../src/inventory/inventory.ts'
import { eachRow } from '../../src/inventory/snapshot.ts'
import { asText, backupLines, closed } from '../fixture/backup-lines.ts'
import { aMeshWithRunningVm } from '../fixture/inventory.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'

let file: string
let lines: readonly string[]
let inventory: Inventory

beforeEach(async () => {
  file = join(await temporaryDirectory(), 'lab.backup')
  inventory = aMeshWithRunningVm({ datastores: ['images'] }).now
  lines = backupLines(inventory)
  write(lines)
})

function write(all: readonly string[]): void {
  writeFileSync(file, asText(all))
}

const refusal = (code: string) => ({ code: 'refused', reasons: [{ code, fix: expect.any(String) }] })

it('a backup gives the state that it was made of', async () => {
  const { machine, salvaged, backup } = await loadBackup(file)
  expect(machine.inventory()).toEqual(inventory)
  expect(salvaged).toMatchObject({ index: inventory.index, term: 4 })
  expect(salvaged.values).toEqual(new Map(eachRow(inventory)))
  expect(backup).toMatchObject({ rows: lines.length - 2, head: { by: 'h1', mesh: { name: 'lab', generation: 1 } } })
})

describe('refused is', () => {
  it('a file that is not there', async () => {
    await expect(loadBackup(`${file}.gone`)).rejects.toMatchObject({ code: 'not-found' })
  })

  it.each([
    ['no text of ours', ['#!/bin/sh']],
    ['JSON of somebody else', ['{"version":1}']],
    ['nothing', []],
  ])('a file that holds %s', async (_, all) => {
    write(all)
    await expect(loadBackup(file)).rejects.toMatchObject(refusal('no-backup'))
  })

  it.each(['"version":2', '"rowFormat":9'])('one with %s, of a newer program', async (part) => {
    const [head = '', ...rest] = lines
    const key = part.slice(0, part.indexOf(':'))
    write([head.replace(new RegExp(`${key}:\\d+`), part), ...rest])
    await expect(loadBackup(file)).rejects.toMatchObject(refusal('backup-version'))
  })

  it('one that is cut short, at every line', async () => {
    for (let kept = 1; kept < lines.length; kept += 1) {
      write(lines.slice(0, kept))
      await expect(loadBackup(file)).rejects.toMatchObject(refusal('backup-truncated'))
    }
  })

  it('one that is cut within a line', async () => {
    const text = readFileSync(file, 'utf8')
    writeFileSync(file, text.slice(0, Math.floor(text.length / 2)))
    await expect(loadBackup(file)).rejects.toMatchObject({ code: 'refused' })
  })

  it('one with any one character changed', async () => {
    const text = readFileSync(file, 'utf8')
    for (let at = 7; at < text.length; at += 211) {
      const other = text[at] === '1' ? '2' : '1'
      writeFileSync(file, text.slice(0, at) + other + text.slice(at + 1))
      await expect(loadBackup(file), `character ${at}`).rejects.toMatchObject({ code: 'refused' })
    }
  })

  it('one that lacks a row, or has one twice', async () => {
    write([...lines.slice(0, 3), ...lines.slice(4)])
    await expect(loadBackup(file)).rejects.toMatchObject(refusal('backup-damaged'))
    write([...lines.slice(0, 3), ...lines.slice(2)])
    await expect(loadBackup(file)).rejects.toMatchObject(refusal('backup-damaged'))
  })

  it('one with something behind its end', async () => {
    write([...lines, '{}'])
    await expect(loadBackup(file)).rejects.toMatchObject(refusal('backup-damaged'))
  })

  it('a row that is whole, and none of an inventory', async () => {
    const row = rowLine('vms/x', new TextEncoder().encode('{"v":1,"row":{"id":"x"}}'))
    write(closed([lines[0] ?? '', row]))
    await expect(loadBackup(file)).rejects.toMatchObject(refusal('backup-damaged'))
  })
})
