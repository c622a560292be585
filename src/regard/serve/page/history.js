// What was made of photos, kept in this browser (IndexedDB) until it is emptied.

const NAME = "regard", STORE = "photos", MOST = 200;

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function within(mode, work) {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request?.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

export async function keep(entry) {
  await within("readwrite", (store) => store.put(entry));
  const all = await list();
  for (const old of all.slice(MOST)) await within("readwrite", (store) => store.delete(old.id));
}

// The newest first.
export async function list() {
  const entries = await within("readonly", (store) => store.getAll());
  return entries.sort((a, b) => b.time - a.time);
}

export function empty() {
  return within("readwrite", (store) => store.clear());
}
