// x smoke test of the whole thing here
import { expect, it } from 'vitest'
import { fakeAgent } from './fake-agent.ts'
it('answers', async () => {
  const agent = await fakeAgent({ tcp: true })
  const signal = new AbortController().signal
  for (const name of [
    'status',
    'vmList',
    'hostList',
    'meshStatus',
    'datastoreList',
    'eventList',
    'configList',
    'tokenList',
    'version',
  ] as const) {
    const r = await agent.client.call(name, {}, { signal })
    console.log(name, JSON.stringify(r.json).slice(0, 400))
  }
  const w = await agent.client.call(
    'vmCreate',
    {
      body: { name: 'web', vcpus: 1, memoryMiB: 256, disks: [{ datastore: 'images', name: 'root', sizeBytes: 2 ** 30 }], start: true },
      query: { dryRun: '1' },
    },
    { signal },
  )
  console.log(w.json)
  const x = await agent.client.call(
    'vmCreate',
    { body: { name: 'web', vcpus: 1, memoryMiB: 256, disks: [{ datastore: 'images', name: 'root', sizeBytes: 2 ** 30 }], start: true } },
    { signal, key: 'k1' },
  )
  console.log(x.json)
  const y = await agent.client.call(
    'vmCreate',
    { body: { name: 'web', vcpus: 1, memoryMiB: 256, disks: [{ datastore: 'images', name: 'root', sizeBytes: 2 ** 30 }], start: true } },
    { signal, key: 'k1' },
  )
  expect(y.json).toEqual(x.json)
  const e = await agent.client
    .call('vmCreate', { body: { name: 'web', vcpus: 1, memoryMiB: 2560000, boot: { kernel: 'images/x' }, start: true } }, { signal })
    .catch((e) => e)
  console.log(e)
})
