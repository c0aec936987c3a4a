// docs/cli.md and the commands name the same verbs, and every example there is a line that the command line takes.
import { describe, expect, it } from 'vitest'
import { NOUNS, type NounName, type Route } from '../../src/cli/app.ts'
import { readProjectFile } from '../tidy/source-tree.ts'
import { hostmesh } from './cli-run.ts'

const text = readProjectFile('docs/cli.md')
const documented = [...text.matchAll(/^### hostmesh (.+)$/gm)].map((match) => match[1] ?? '')

async function verbsOf(noun: NounName): Promise<readonly string[]> {
  const route: Route = await NOUNS[noun].load()
  if (!('getAllEntries' in route)) return [noun]
  return route.getAllEntries().map(({ name }) => `${noun} ${name['convert-camel-to-kebab']}`)
}

/** Lines of the fenced blocks, without what only the shell reads. */
const examples = [...text.matchAll(/^```\n([\s\S]*?)^```$/gm)]
  .flatMap((match) => (match[1] ?? '').trim().split('\n'))
  .map((line) =>
    line
      .replace(/\s+#.*$/, '')
      .replace(/^.*\| (?=hostmesh)/, '')
      .replace(/ [|>] .*$/, ''),
  )

describe('docs/cli.md', () => {
  it('names every verb, and none that there is not', async () => {
    const verbs: string[] = []
    for (const noun of Object.keys(NOUNS)) if (noun in NOUNS) verbs.push(...(await verbsOf(noun as NounName)))
    expect(documented.toSorted()).toEqual(verbs.toSorted())
  })

  it('has an example under every verb', () => {
    for (const verb of documented)
      expect(
        examples.some((line) => line.startsWith(`hostmesh ${verb}`)),
        verb,
      ).toBe(true)
  })

  it('has every exit code', () => {
    expect([...text.matchAll(/^\| (\d) \|/gm)].map((match) => Number(match[1]))).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  })

  it.each(examples)('has an example that is understood: %s', async (line) => {
    const words = (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ''))
    expect(words.shift()).toBe('hostmesh')
    const becomeAgent = (): never => {
      throw new Error('the agent would run now')
    }
    // Without an agent: whatever comes, it is no fault of the words.
    const { code, err } = await hostmesh(words, { socketPath: '/nonexistent/s', io: { becomeAgent } })
    expect(code, err).not.toBe(2)
    expect(err).not.toContain('there is no')
  })
})
