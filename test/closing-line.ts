// A reporter for vitest: the last line of a run counts what passed, failed and was skipped, and names why it was skipped.
import { type Reporter, type TestCase, type TestModule } from 'vitest/node'

export class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], outsideTests: readonly unknown[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const passed = tests.filter((test) => test.result().state === 'passed')
    const skipped = tests.filter((test) => test.result().state === 'skipped')
    // A file that could not even be loaded has no tests, and has failed all the same.
    const broken = modules.filter((module) => module.state() === 'failed' && [...module.children.allTests('failed')].length === 0)
    const failed = tests.length - passed.length - skipped.length + broken.length + outsideTests.length
    for (const [reason, count] of reasons(skipped)) process.stdout.write(`skipped ${count}: ${reason}\n`)
    process.stdout.write(`tests: ${passed.length} passed, ${failed} failed, ${skipped.length} skipped\n`)
  }
}

function reasons(skipped: readonly TestCase[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const test of skipped) {
    const result = test.result()
    const reason = (result.state === 'skipped' && result.note) || 'no reason given'
    counts.set(reason, (counts.get(reason) ?? 0) + 1)
  }
  return counts
}
