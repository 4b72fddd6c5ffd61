package main

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pingcap/badger"
	"github.com/pingcap/badger/y"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv/mvcc"
)

// keepingWriter writes locks to the database, too, and together with what replaces them: the store's own writer has them
// in memory only, and the locks of an asynchronous commit are all there is of what was acknowledged.
type keepingWriter struct {
	bundle *mvcc.DBBundle
	mutex  sync.Mutex
}

var lockPrefix = append(slices.Clone(tikv.InternalKeyPrefix), "lock"...)

func loadLocks(bundle *mvcc.DBBundle) error {
	return bundle.DB.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		for it.Seek(lockPrefix); it.ValidForPrefix(lockPrefix); it.Next() {
			value, err := it.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			bundle.LockStore.Put(it.Item().KeyCopy(nil)[len(lockPrefix):], value)
		}
		return nil
	})
}

// keptBatch: versions of values, and locks; nil takes one away.
type keptBatch struct {
	startTS, commitTS uint64
	values            []*badger.Entry
	locks             map[string][]byte
}

func (b *keptBatch) put(key y.Key, value []byte, commitTS uint64) {
	b.values = append(b.values, &badger.Entry{Key: key, Value: value, UserMeta: mvcc.NewDBUserMeta(b.startTS, commitTS)})
}

// That the transaction ended, where no version of the key tells it.
func (b *keptBatch) putStatus(key []byte, commitTS uint64) {
	b.put(y.KeyWithTs(mvcc.EncodeExtraTxnStatusKey(key, b.startTS), b.startTS), nil, commitTS)
}

func (b *keptBatch) Prewrite(key []byte, lock *mvcc.Lock) {
	b.locks[string(key)] = lock.MarshalBinary()
}

func (b *keptBatch) Commit(key []byte, lock *mvcc.Lock) {
	if lock.Op != uint8(kvrpcpb.Op_Lock) {
		b.put(y.KeyWithTs(key, b.commitTS), lock.Value, b.commitTS)
	} else if bytes.Equal(key, lock.Primary) {
		b.putStatus(key, b.commitTS)
	}
	b.locks[string(key)] = nil
}

func (b *keptBatch) Rollback(key []byte, deleteLock bool) {
	b.putStatus(key, 0)
	if deleteLock {
		b.locks[string(key)] = nil
	}
}

func (b *keptBatch) PessimisticLock(key []byte, lock *mvcc.Lock) { b.Prewrite(key, lock) }
func (b *keptBatch) PessimisticRollback(key []byte)              { b.locks[string(key)] = nil }

func (w *keepingWriter) Open()  {}
func (w *keepingWriter) Close() {}

func (w *keepingWriter) NewWriteBatch(startTS, commitTS uint64, _ *kvrpcpb.Context) mvcc.WriteBatch {
	return &keptBatch{startTS: startTS, commitTS: commitTS, locks: map[string][]byte{}}
}

func (w *keepingWriter) DeleteRange([]byte, []byte, mvcc.LatchHandle) error {
	return errors.New("ranges are not deleted")
}

// Readers look at the locks first: they go when the values are there.
func (w *keepingWriter) Write(batch mvcc.WriteBatch) error {
	b := batch.(*keptBatch)
	w.mutex.Lock()
	defer w.mutex.Unlock()
	entries := b.values
	for key, lock := range b.locks {
		if lock == nil && len(w.bundle.LockStore.Get([]byte(key), nil)) == 0 {
			delete(b.locks, key) // 1PC leaves none
			continue
		}
		entry := &badger.Entry{Key: y.KeyWithTs(append(slices.Clone(lockPrefix), key...), atomic.AddUint64(&w.bundle.StateTS, 1)), Value: lock}
		if lock == nil {
			entry.SetDelete()
		}
		entries = append(entries, entry)
	}
	err := w.bundle.DB.Update(func(txn *badger.Txn) error {
		for _, entry := range entries {
			if err := txn.SetEntry(entry); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for key, lock := range b.locks {
		if lock == nil {
			w.bundle.LockStore.Delete([]byte(key))
		} else {
			w.bundle.LockStore.Put([]byte(key), lock)
		}
	}
	return nil
}
