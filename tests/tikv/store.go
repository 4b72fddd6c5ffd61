package main

import (
	"context"
	"sync"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv"
)

// storeServer adds what the store lacks of TiKV's concurrency manager: a reader must not pass a prewrite that has chosen its
// commit timestamp (1PC, asynchronous commit) but has not written yet, or it misses a commit that is older than itself.
type storeServer struct {
	*tikv.Server
	prewriting sync.RWMutex
}

func (s *storeServer) KvPrewrite(ctx context.Context, request *kvrpcpb.PrewriteRequest) (*kvrpcpb.PrewriteResponse, error) {
	s.prewriting.Lock()
	defer s.prewriting.Unlock()
	return s.Server.KvPrewrite(ctx, request)
}

func (s *storeServer) KvGet(ctx context.Context, request *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error) {
	s.prewriting.RLock()
	defer s.prewriting.RUnlock()
	return s.Server.KvGet(ctx, request)
}

func (s *storeServer) KvBatchGet(ctx context.Context, request *kvrpcpb.BatchGetRequest) (*kvrpcpb.BatchGetResponse, error) {
	s.prewriting.RLock()
	defer s.prewriting.RUnlock()
	return s.Server.KvBatchGet(ctx, request)
}

func (s *storeServer) KvScan(ctx context.Context, request *kvrpcpb.ScanRequest) (*kvrpcpb.ScanResponse, error) {
	s.prewriting.RLock()
	defer s.prewriting.RUnlock()
	return s.Server.KvScan(ctx, request)
}
