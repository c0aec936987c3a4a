// Ids that the host which takes a request chooses, so that a repeated command names the same object.
import { type Branded, newId } from '../base/ids.ts'
import { type ApiContext } from './context.ts'

export function freshId<T extends Branded<string, string>>({ random }: Pick<ApiContext, 'random'>): T {
  return newId<T>((length) => random.bytes(length))
}
