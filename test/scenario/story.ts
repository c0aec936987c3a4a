// A story on disk: words about it, commands a line, `----`, and the events that must come of them.

export interface Step {
  /** Of the line in the file, from 1. */
  readonly line: number
  readonly verb: string
  /** Words without `=`. */
  readonly words: readonly string[]
  readonly options: ReadonlyMap<string, string>
}

export interface Story {
  readonly title: string
  readonly steps: readonly Step[]
  /** Everything above the line, as it stands there. */
  readonly head: string
  readonly expected: string
}

export const DIVIDER = '----'

/** Throws with the line that cannot be read. */
export function parseStory(text: string): Story {
  const lines = text.split('\n')
  const divider = lines.indexOf(DIVIDER)
  const head = divider < 0 ? lines : lines.slice(0, divider)
  const [first = ''] = head
  if (!first.startsWith('# ')) throw new Error('line 1: a story begins with "# " and what it shows')
  const steps = head.map((line, at) => parseStep(line, at + 1)).filter((step) => step !== undefined)
  return {
    title: first.slice(2),
    steps,
    head: `${head.join('\n').trimEnd()}\n`,
    expected: divider < 0 ? '' : lines.slice(divider + 1).join('\n'),
  }
}

/** The file as it should be after a run that gave `events`. */
export function storyText(story: Story, events: string): string {
  return `${story.head}${DIVIDER}\n${events}`
}

function parseStep(line: string, number: number): Step | undefined {
  const text = line.replace(/#.*$/, '').trim()
  if (text === '') return undefined
  const [verb = '', ...rest] = text.split(/\s+/)
  const options = new Map<string, string>()
  const words: string[] = []
  for (const word of rest) {
    const equals = word.indexOf('=')
    if (equals < 0) words.push(word)
    else options.set(word.slice(0, equals), word.slice(equals + 1))
  }
  return { line: number, verb, words, options }
}
