// Disks and boots as people write them.
import { describe, expect, it } from 'vitest'
import { hasCode } from '../../src/base/errors.ts'
import { bootOf, changedBoot, parseDisk } from '../../src/cli/vm-words.ts'

function isUsage(work: () => unknown): boolean {
  try {
    work()
    return false
  } catch (error) {
    return hasCode(error, 'usage')
  }
}

describe('a disk', () => {
  it.each([
    ['images/root', { datastore: 'images', name: 'root' }],
    ['images/root:10G', { datastore: 'images', name: 'root', sizeBytes: 10 * 1024 ** 3 }],
    ['images/root:512M,format=raw', { datastore: 'images', name: 'root', sizeBytes: 512 * 1024 ** 2, format: 'raw' }],
    ['images/root:1G,format=qcow2', { datastore: 'images', name: 'root', sizeBytes: 1024 ** 3, format: 'qcow2' }],
  ])('%s', (text, wish) => {
    expect(parseDisk(text)).toEqual(wish)
  })

  it.each([
    'root',
    '/root',
    'images/',
    'images/a/b',
    'images/root:',
    'images/root:ten',
    'images/root:-1G',
    'images/root:1G,format=vmdk',
    'images/root,format=raw',
    'images/root:1G,size=2',
    '',
  ])('is not "%s"', (text) => {
    expect(isUsage(() => parseDisk(text))).toBe(true)
  })
})

describe('a direct boot', () => {
  it('needs a kernel, the rest is added to it', () => {
    expect(bootOf({})).toBeUndefined()
    expect(bootOf({ kernel: 'i/k' })).toEqual({ kernel: 'i/k' })
    expect(bootOf({ kernel: 'i/k', initrd: 'i/r', append: 'quiet' })).toEqual({ kernel: 'i/k', initrd: 'i/r', append: 'quiet' })
    expect(isUsage(() => bootOf({ initrd: 'i/r' }))).toBe(true)
    expect(isUsage(() => bootOf({ append: 'quiet' }))).toBe(true)
  })

  const before = { kernel: 'i/k', initrd: 'i/r', append: 'quiet' }

  it('keeps what a change does not name', () => {
    expect(changedBoot(before, { append: 'debug' })).toEqual({ ...before, append: 'debug' })
    expect(changedBoot(before, { initrd: 'i/r2' })).toEqual({ ...before, initrd: 'i/r2' })
    expect(changedBoot(before, { kernel: 'i/k2' })).toEqual({ ...before, kernel: 'i/k2' })
  })

  it('may lose its initrd, or be given up for the disk', () => {
    expect(changedBoot(before, { initrd: 'none' })).toEqual({ ...before, initrd: null })
    expect(changedBoot(before, { kernel: 'none' })).toBeNull()
  })

  it('begins with a kernel', () => {
    expect(changedBoot(null, { kernel: 'i/k' })).toEqual({ kernel: 'i/k', initrd: null, append: '' })
    expect(isUsage(() => changedBoot(null, { append: 'debug' }))).toBe(true)
    expect(changedBoot(null, {})).toBeNull()
  })
})
