// Stopping in order, whatever fails on the way.
import { setImmediate } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { stopAll } from '../../src/base/stop-all.ts'

it('each is stopped after the one before has ended', async () => {
  const seen: string[] = []
  const slow = async (): Promise<void> => {
    await setImmediate()
    seen.push('slow ended')
  }
  await stopAll([slow, () => void seen.push('next')])
  expect(seen).toEqual(['slow ended', 'next'])
})

it('all are stopped although some fail, and the first failure is told', async () => {
  const seen: string[] = []
  const failing = (name: string) => (): Promise<void> => {
    seen.push(name)
    return Promise.reject(new Error(name))
  }
  const throwing = (): void => {
    seen.push('throws')
    throw new Error('throws')
  }
  const stopped = stopAll([failing('first'), throwing, failing('third'), () => void seen.push('last')])
  await expect(stopped).rejects.toThrow('first')
  expect(seen).toEqual(['first', 'throws', 'third', 'last'])
})
