// The words of a command line before any command is known. Pure.

/** Flags that say where the agent is and how to speak: people also write them before the noun. */
const WITH_VALUE = new Set(['--socket', '--data-dir', '--host', '--timeout', '--output', '-o'])
const ALONE = new Set(['--no-color', '--color'])

/** Moves such flags from before the noun to the end, where commands take them: `--socket S vm list` is `vm list --socket S`. */
export function hoistGlobals(argv: readonly string[]): readonly string[] {
  const moved: string[] = []
  let at = 0
  for (let word = argv[at]; word !== undefined; word = argv[at]) {
    const length = WITH_VALUE.has(word) ? 2 : ALONE.has(word) || hasValueInside(word) ? 1 : 0
    if (length === 0) break
    moved.push(...argv.slice(at, at + length))
    at += length
  }
  const rest = argv.slice(at)
  return [...beforeEscape(rest), ...moved, ...fromEscape(rest)]
}

/** Whether errors are to be JSON, also those that are found before the flags are parsed. */
export function wantsJson(words: readonly string[]): boolean {
  return words.some(
    (word, at) => word === '--output=json' || word === '-o=json' || ((word === '-o' || word === '--output') && words[at + 1] === 'json'),
  )
}

/** `--socket=S`; the flag alone was looked for before. */
function hasValueInside(word: string): boolean {
  return WITH_VALUE.has(word.split('=')[0] ?? '')
}

function beforeEscape(words: readonly string[]): readonly string[] {
  const escape = words.indexOf('--')
  return escape < 0 ? words : words.slice(0, escape)
}

function fromEscape(words: readonly string[]): readonly string[] {
  const escape = words.indexOf('--')
  return escape < 0 ? [] : words.slice(escape)
}
