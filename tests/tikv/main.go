// A TiKV store and its placement driver in one process, for tests: the storage engine that TiDB tests itself with, which
// keeps Percolator's rules, behind the protocols that clients of a cluster speak. Locks are in memory: it is not to be killed.
//
// usage: tikv-server ADDRESS FOLDER [SPLIT...]     ADDRESS: 127.0.0.1:PORT; SPLIT: first keys of more regions, in hex
package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"os"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/config"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/server"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv"
	"google.golang.org/grpc"
)

const storeID, regionID, peerID = 1, 2, 3

func settings(folder string) *config.Config {
	conf := config.DefaultConf
	conf.Server.Raft = false
	conf.Engine.DBPath = folder
	conf.Engine.ValueThreshold = 0
	conf.Engine.SyncWrite = false
	conf.Engine.VolatileMode = true
	conf.Engine.MaxMemTableSize = 12 << 20
	conf.Engine.NumCompactors = 1
	conf.Engine.CompactL0WhenClose = false
	conf.Engine.VlogFileSize = 16 << 20
	return &conf
}

func bootstrap(pd *tikv.MockPD, address string) error {
	_, err := pd.Bootstrap(context.Background(), &metapb.Store{Id: storeID, Address: address, State: metapb.StoreState_Up},
		&metapb.Region{Id: regionID, RegionEpoch: &metapb.RegionEpoch{}, Peers: []*metapb.Peer{{Id: peerID, StoreId: storeID}}})
	return err
}

func run(address, folder string, splits []string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	store, regions, pd, err := server.NewMock(settings(folder), clusterID)
	if err != nil {
		return err
	}
	if err := bootstrap(pd, address); err != nil {
		return err
	}
	for _, split := range splits {
		key, err := hex.DecodeString(split)
		if err != nil {
			return err
		}
		regions.SplitArbitrary(key)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	service := grpc.NewServer()
	tikvpb.RegisterTikvServer(service, &storeServer{Server: store})
	pdpb.RegisterPDServer(service, &placementDriver{mock: pd, address: "http://" + address})
	return service.Serve(listener)
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: tikv-server ADDRESS FOLDER [SPLIT...]")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
