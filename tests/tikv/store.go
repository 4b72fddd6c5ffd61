package main

import (
	"context"
	"math"
	"sync"

	"github.com/pingcap/badger"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv/mvcc"
)

// concurrency is what the store lacks of TiKV's concurrency manager. A prewrite that commits at once (1PC), or whose locks
// decide (asynchronous commit), is told the least timestamp that is later than all reads before, than its own start, and not
// earlier than its client allows. No reader may pass it before it has written, or that misses a commit that is older than itself.
// The store asks for the timestamp as if this were the placement driver.
type concurrency struct {
	*tikv.MockPD
	prewriting sync.RWMutex
	reads      sync.Mutex
	lastRead   uint64
	commit     uint64 // of the present prewrite
}

func (c *concurrency) GetTS(context.Context) (int64, int64, error) {
	return int64(c.commit >> 18), int64(c.commit & (1<<18 - 1)), nil
}

func (c *concurrency) beginPrewrite(request *kvrpcpb.PrewriteRequest) (end func()) {
	c.prewriting.Lock()
	c.commit = max(c.lastRead+1, request.StartVersion+1, request.ForUpdateTs+1, request.MinCommitTs)
	return c.prewriting.Unlock
}

func (c *concurrency) beginRead(version uint64) (end func()) {
	c.prewriting.RLock()
	c.reads.Lock()
	defer c.reads.Unlock()
	if version != math.MaxUint64 {
		c.lastRead = max(c.lastRead, version)
	}
	return c.prewriting.RUnlock
}

type storeServer struct {
	*tikv.Server
	*concurrency
	db *badger.DB
}

func (s *storeServer) KvPrewrite(ctx context.Context, request *kvrpcpb.PrewriteRequest) (*kvrpcpb.PrewriteResponse, error) {
	defer s.beginPrewrite(request)()
	if errors := s.rolledBack(request); len(errors) > 0 {
		return &kvrpcpb.PrewriteResponse{Errors: errors}, nil
	}
	return s.Server.KvPrewrite(ctx, request)
}

// rolledBack: a prewrite that comes late, after its transaction was rolled back at these keys. The store looks at the primary only.
func (s *storeServer) rolledBack(request *kvrpcpb.PrewriteRequest) (errors []*kvrpcpb.KeyError) {
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	for _, mutation := range request.Mutations {
		item, err := txn.Get(mvcc.EncodeExtraTxnStatusKey(mutation.Key, request.StartVersion))
		if err == nil && mvcc.DBUserMeta(item.UserMeta()).CommitTS() == 0 {
			errors = append(errors, &kvrpcpb.KeyError{Conflict: &kvrpcpb.WriteConflict{StartTs: request.StartVersion, ConflictTs: request.StartVersion,
				Key: mutation.Key, Primary: request.PrimaryLock, Reason: kvrpcpb.WriteConflict_SelfRolledBack}})
		}
	}
	return errors
}

// It rolls back what it does not find: no prewrite meanwhile.
func (s *storeServer) KvCheckSecondaryLocks(ctx context.Context, request *kvrpcpb.CheckSecondaryLocksRequest) (*kvrpcpb.CheckSecondaryLocksResponse, error) {
	s.prewriting.Lock()
	defer s.prewriting.Unlock()
	return s.Server.KvCheckSecondaryLocks(ctx, request)
}

func (s *storeServer) KvGet(ctx context.Context, request *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error) {
	defer s.beginRead(request.Version)()
	return s.Server.KvGet(ctx, request)
}

func (s *storeServer) KvBatchGet(ctx context.Context, request *kvrpcpb.BatchGetRequest) (*kvrpcpb.BatchGetResponse, error) {
	defer s.beginRead(request.Version)()
	return s.Server.KvBatchGet(ctx, request)
}

func (s *storeServer) KvScan(ctx context.Context, request *kvrpcpb.ScanRequest) (*kvrpcpb.ScanResponse, error) {
	defer s.beginRead(request.Version)()
	return s.Server.KvScan(ctx, request)
}

// BatchCommands is what client-go sends its requests with.
func (s *storeServer) BatchCommands(stream tikvpb.Tikv_BatchCommandsServer) error {
	ordered := &orderedStream{Tikv_BatchCommandsServer: stream, order: s.concurrency, ends: map[uint64]func(){}}
	defer ordered.endAll()
	return s.Server.BatchCommands(ordered)
}

// orderedStream hands on one request at a time, when its turn has begun, which ends with the answer.
type orderedStream struct {
	tikvpb.Tikv_BatchCommandsServer
	order    *concurrency
	received tikvpb.BatchCommandsRequest // not handed on yet
	mutex    sync.Mutex
	ends     map[uint64]func() // by the requests' numbers
	ended    bool
}

func (o *orderedStream) begin(request *tikvpb.BatchCommandsRequest_Request) (end func()) {
	switch command := request.Cmd.(type) {
	case *tikvpb.BatchCommandsRequest_Request_Prewrite:
		return o.order.beginPrewrite(command.Prewrite)
	case *tikvpb.BatchCommandsRequest_Request_Get:
		return o.order.beginRead(command.Get.Version)
	case *tikvpb.BatchCommandsRequest_Request_BatchGet:
		return o.order.beginRead(command.BatchGet.Version)
	case *tikvpb.BatchCommandsRequest_Request_Scan:
		return o.order.beginRead(command.Scan.Version)
	}
	return func() {}
}

func (o *orderedStream) Recv() (*tikvpb.BatchCommandsRequest, error) {
	for len(o.received.Requests) == 0 {
		batch, err := o.Tikv_BatchCommandsServer.Recv()
		if err != nil {
			return nil, err
		}
		o.received = *batch
	}
	request, id := o.received.Requests[0], o.received.RequestIds[0]
	o.received.Requests, o.received.RequestIds = o.received.Requests[1:], o.received.RequestIds[1:]
	end := o.begin(request)
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.ended {
		end()
		return nil, context.Canceled
	}
	o.ends[id] = end
	return &tikvpb.BatchCommandsRequest{Requests: []*tikvpb.BatchCommandsRequest_Request{request}, RequestIds: []uint64{id}}, nil
}

func (o *orderedStream) Send(response *tikvpb.BatchCommandsResponse) error {
	o.mutex.Lock()
	for _, id := range response.RequestIds {
		o.ends[id]()
		delete(o.ends, id)
	}
	o.mutex.Unlock()
	return o.Tikv_BatchCommandsServer.Send(response)
}

// endAll: those that will not be answered any more.
func (o *orderedStream) endAll() {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.ended = true
	for _, end := range o.ends {
		end()
	}
}
