// Plays every story and compares what happens with what is written; UPDATE=1 writes it anew, for a review as of code.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { play } from './player.ts'
import { parseStory, storyText } from './story.ts'

const FOLDER = import.meta.dirname
const STORIES = readdirSync(FOLDER).filter((file) => file.endsWith('.txt'))
const UPDATE = process.env['UPDATE'] === '1'

describe('stories', () => {
  it.each(STORIES)('%s goes as it is written', { timeout: 60_000 }, async (file) => {
    const path = join(FOLDER, file)
    const story = parseStory(readFileSync(path, 'utf8'))
    const events = await play(story)
    if (UPDATE) writeFileSync(path, storyText(story, events))
    else expect(events).toBe(story.expected)
    expect(events).toMatch(/\ncheck: ok\n$/)
  })

  it('are six at least', () => {
    expect(STORIES.length).toBeGreaterThanOrEqual(6)
  })
})

describe('a story file', () => {
  it('is commands and events, divided by a line', () => {
    const text = '# Title\nhosts hosts=a # why\n\nrun 1s\n----\n  0.0s a  leads\n'
    const story = parseStory(text)
    expect(story.steps.map(({ line, verb, words }) => [line, verb, ...words])).toEqual([
      [2, 'hosts'],
      [4, 'run', '1s'],
    ])
    expect(story.steps[0]?.options.get('hosts')).toBe('a')
    expect(storyText(story, story.expected)).toBe(text)
  })

  it('says in its first line what it shows', () => {
    expect(() => parseStory('run 1s\n')).toThrow(/line 1/)
  })

  it('may name only commands that there are', async () => {
    await expect(play(parseStory('# Wrong\nhosts hosts=a\ninit a\nfly a\n'))).rejects.toThrow(/line 4: fly/)
  })
})
