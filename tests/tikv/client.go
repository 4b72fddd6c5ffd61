package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/pingcap/failpoint"
	pinglog "github.com/pingcap/log"
	"github.com/tikv/client-go/v2/config"
	tikverr "github.com/tikv/client-go/v2/error"
	"github.com/tikv/client-go/v2/tikv"
	"github.com/tikv/client-go/v2/txnkv/transaction"
	"github.com/tikv/client-go/v2/util"
	"go.uber.org/zap"
)

// Keys and values are in hex; "-" is no value, "." an empty one.
const clientUsage = `operations of tikv-server client PD:
  get KEY...                     a value per line
  scan BEGIN END                 "KEY VALUE" per line
  put HOW KEY VALUE [...]        one transaction; HOW: 1pc, async or 2pc, and with "+leave" the locks are left`

const openTries = 5

func fromHex(text string) ([]byte, error) {
	if text == "." {
		return []byte{}, nil
	}
	return hex.DecodeString(text)
}

func toHex(value []byte) string {
	if len(value) == 0 {
		return "."
	}
	return hex.EncodeToString(value)
}

// As txnkv.NewClient, but for the etcd in a placement driver, which ours has not. Nor does the store know all requests in
// batches.
func openClient(address string) (*tikv.KVStore, error) {
	config.UpdateGlobal(func(conf *config.Config) { conf.TiKVClient.MaxBatchSize = 0 })
	pd, err := tikv.NewPDClient([]string{address})
	if err != nil {
		return nil, err
	}
	codec := tikv.NewCodecPDClient(tikv.ModeTxn, pd)
	return tikv.NewKVStore("tikv-test", codec, tikv.NewMockSafePointKV(), tikv.NewRPCClient(tikv.WithCodec(codec.GetCodec())))
}

func get(ctx context.Context, txn *transaction.KVTxn, keys []string) error {
	for _, text := range keys {
		key, err := fromHex(text)
		if err != nil {
			return err
		}
		value, err := txn.Get(ctx, key)
		if err != nil && !tikverr.IsErrNotFound(err) {
			return err
		}
		if err != nil {
			fmt.Println("-")
		} else {
			fmt.Println(toHex(value))
		}
	}
	return nil
}

func scan(txn *transaction.KVTxn, begin, end string) error {
	from, err := fromHex(begin)
	if err != nil {
		return err
	}
	to, err := fromHex(end)
	if err != nil {
		return err
	}
	it, err := txn.Iter(from, to)
	for ; err == nil && it.Valid(); err = it.Next() {
		fmt.Println(toHex(it.Key()), toHex(it.Value()))
	}
	return err
}

// Prints how it was committed.
func put(ctx context.Context, txn *transaction.KVTxn, how string, pairs []string) error {
	how, leave := strings.CutSuffix(how, "+leave")
	if leave {
		util.EnableFailpoints()
		for _, point := range []string{"tikvclient/asyncCommitDoNothing", "tikvclient/beforeCommitSecondaries"} {
			if err := failpoint.Enable(point, `return("skip")`); err != nil {
				return err
			}
		}
		ctx = context.WithValue(ctx, util.SessionID, uint64(1)) // without one nothing is skipped
	}
	for ; len(pairs) >= 2; pairs = pairs[2:] {
		key, err := fromHex(pairs[0])
		if err != nil {
			return err
		}
		if pairs[1] == "-" {
			err = txn.Delete(key)
		} else if value, err2 := fromHex(pairs[1]); err2 != nil {
			err = err2
		} else {
			err = txn.Set(key, value)
		}
		if err != nil {
			return err
		}
	}
	txn.SetEnable1PC(how == "1pc")
	txn.SetEnableAsyncCommit(how == "async")
	var told struct {
		Mode string `json:"txn_commit_mode"`
	}
	txn.SetCommitCallback(func(info string, _ error) { _ = json.Unmarshal([]byte(info), &told) })
	var cleaning sync.WaitGroup
	txn.SetBackgroundGoroutineLifecycleHooks(transaction.LifecycleHooks{Pre: func() { cleaning.Add(1) }, Post: cleaning.Done})
	if err := txn.Commit(ctx); err != nil {
		return err
	}
	cleaning.Wait()
	fmt.Println(told.Mode)
	return nil
}

func runClient(address string, arguments []string) error {
	pinglog.ReplaceGlobals(zap.NewNop(), &pinglog.ZapProperties{})
	store, err := openClient(address)
	for try := 1; err != nil && try < openTries; try++ { // it now and then cancels a call of its own
		store, err = openClient(address)
	}
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	txn, err := store.Begin()
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	ctx := context.Background()
	switch operation, rest := arguments[0], arguments[1:]; {
	case operation == "get":
		err = get(ctx, txn, rest)
	case operation == "scan" && len(rest) == 2:
		err = scan(txn, rest[0], rest[1])
	case operation == "put" && len(rest)%2 == 1:
		err = put(ctx, txn, rest[0], rest[1:])
	default:
		return errors.New(clientUsage)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", arguments[0], err)
	}
	return store.Close()
}
