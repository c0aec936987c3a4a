// The smallest thing to listen to: listeners in order of arrival, each call returns its own way out.

export interface Emitter<T> {
  /** Returns the function that takes the listener away. */
  on(listener: (value: T) => void): () => void
  emit(value: T): void
}

export function emitter<T>(): Emitter<T> {
  const listeners = new Set<(value: T) => void>()
  return {
    on(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    emit(value) {
      for (const listener of listeners) listener(value)
    },
  }
}
