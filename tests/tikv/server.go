package main

import (
	"context"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/pingcap/badger"
	"github.com/pingcap/badger/options"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/config"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/lockstore"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv/mvcc"
	"google.golang.org/grpc"
)

const storeID, regionID, peerID = 1, 2, 3

// Written to the operating system at once, not to the disk.
func openDB(folder string, safePoint *tikv.SafePoint) (*badger.DB, error) {
	opts := badger.DefaultOptions
	opts.Dir = filepath.Join(folder, "kv")
	opts.ValueDir = opts.Dir
	opts.ManagedTxns = true
	opts.SyncWrites = false
	opts.ValueThreshold = 0
	opts.ValueLogFileSize = 16 << 20
	opts.ValueLogMaxNumFiles = 3
	opts.MaxMemTableSize = 12 << 20
	opts.NumCompactors = 1
	opts.CompactL0WhenClose = false
	opts.TableBuilderOptions.CompressionPerLevel = make([]options.CompressionType, len(opts.TableBuilderOptions.CompressionPerLevel))
	opts.CompactionFilterFactory = safePoint.CreateCompactionFilter
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, err
	}
	return badger.Open(opts)
}

func newBundle(db *badger.DB) (*mvcc.DBBundle, error) {
	physical, logical := tikv.GetTS()
	bundle := &mvcc.DBBundle{DB: db, LockStore: lockstore.NewMemStore(8 << 20), StateTS: uint64(physical)<<18 + uint64(logical)}
	return bundle, loadLocks(bundle)
}

func bootstrap(pd *tikv.MockPD, regions *tikv.MockRegionManager, address string, splits []string) error {
	ctx := context.Background()
	if already, err := pd.IsBootstrapped(ctx); already || err != nil {
		return err
	}
	_, err := pd.Bootstrap(ctx, &metapb.Store{Id: storeID, Address: address, State: metapb.StoreState_Up},
		&metapb.Region{Id: regionID, RegionEpoch: &metapb.RegionEpoch{}, Peers: []*metapb.Peer{{Id: peerID, StoreId: storeID}}})
	if err != nil {
		return err
	}
	for _, split := range splits {
		key, err := hex.DecodeString(split)
		if err != nil {
			return err
		}
		regions.SplitArbitrary(key)
	}
	return nil
}

func serve(options []grpc.ServerOption, addresses []string, folder string, splits []string) error {
	safePoint := &tikv.SafePoint{}
	db, err := openDB(folder, safePoint)
	if err != nil {
		return err
	}
	bundle, err := newBundle(db)
	if err != nil {
		return err
	}
	regions, err := tikv.NewMockRegionManager(bundle, clusterID, tikv.RegionOptions{})
	if err != nil {
		return err
	}
	pd := tikv.NewMockPD(regions)
	if err := bootstrap(pd, regions, addresses[0], splits); err != nil {
		return err
	}
	conf := config.DefaultConf
	order := &concurrency{MockPD: pd}
	store := tikv.NewMVCCStore(&conf, bundle, folder, safePoint, &keepingWriter{bundle: bundle}, order)
	server := &storeServer{Server: tikv.NewServer(regions, store, tikv.NewStandAlongInnerServer(bundle)), concurrency: order, db: db}
	times := &timestamps{mock: pd}
	ended := make(chan error)
	for _, address := range addresses {
		listen, advertised, found := strings.Cut(address, "=")
		if !found {
			advertised = listen
		}
		listener, err := net.Listen("tcp", listen)
		if err != nil {
			return err
		}
		service := grpc.NewServer(options...)
		tikvpb.RegisterTikvServer(service, server)
		pdpb.RegisterPDServer(service, &placementDriver{mock: pd, timestamps: times, address: advertised})
		go func() { ended <- service.Serve(listener) }()
	}
	return <-ended
}
