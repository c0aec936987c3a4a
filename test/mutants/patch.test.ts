// Patches: read, and applied by their text.
import { describe, expect, it } from 'vitest'
import { applyHunks, parsePatch } from './patch.ts'

const PATCH = `# Breaks: two is three
# Found by: a look
--- a/src/one.ts
+++ b/src/one.ts
@@ -3,3 +3,3 @@
 one
-two
+three
 
@@ -9 +9,2 @@
-nine
+9
+ten
`

describe('a patch', () => {
  const [file] = parsePatch(PATCH).files

  it('has a head, and files of hunks', () => {
    expect([...parsePatch(PATCH).head]).toEqual([
      ['Breaks', 'two is three'],
      ['Found by', 'a look'],
    ])
    expect(file).toEqual({
      path: 'src/one.ts',
      hunks: [
        { line: 3, before: ['one', 'two', ''], after: ['one', 'three', ''] },
        { line: 9, before: ['nine'], after: ['9', 'ten'] },
      ],
    })
  })

  it('is applied where its text stands, wherever that has moved', () => {
    const moved = ['one', 'two', '', 'x', 'nine', 'y'].join('\n')
    expect(file && applyHunks(moved, file)).toEqual({ text: ['one', 'three', '', 'x', '9', 'ten', 'y'].join('\n') })
  })

  it('means the nearest place where its text stands several times', () => {
    const twice = ['nine', '', 'one', 'two', '', '', '', '', 'nine', 'nine'].join('\n')
    expect(file && applyHunks(twice, file)).toEqual({ text: ['nine', '', 'one', 'three', '', '', '', '', '9', 'ten', 'nine'].join('\n') })
  })

  it('may be about several files', () => {
    const two = `--- a/one\n+++ b/one\n@@ -1 +1 @@\n-one\n+1\n--- a/two\n+++ b/two\n@@ -1 +1 @@\n-two\n+2\n`
    expect(parsePatch(two).files).toEqual([
      { path: 'one', hunks: [{ line: 1, before: ['one'], after: ['1'] }] },
      { path: 'two', hunks: [{ line: 1, before: ['two'], after: ['2'] }] },
    ])
  })

  it('does not fit where its text is gone', () => {
    expect(file && applyHunks('one\n2\n', file)).toEqual({ misfit: 'one\ntwo\n' })
  })
})
