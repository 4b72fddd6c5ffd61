package main

import (
	"context"
	"io"
	"sync"

	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv"
	"github.com/tikv/pd/client/clients/router"
	"github.com/tikv/pd/client/constants"
)

const clusterID = 1

// placementDriver speaks PD's protocol for the mock that the store brings along. It and the store are at `address`, it says.
type placementDriver struct {
	pdpb.UnimplementedPDServer
	mock       *tikv.MockPD
	timestamps *timestamps
	address    string
}

// timestamps gives out several at once: whoever asked for them counts back from the last, so nobody else may have one between.
type timestamps struct {
	mutex sync.Mutex
	mock  *tikv.MockPD
}

func (t *timestamps) reserve(ctx context.Context, count uint32) (last pdpb.Timestamp) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for run := uint32(0); run < count; run++ {
		physical, logical, _ := t.mock.GetTS(ctx)
		if physical != last.Physical { // a millisecond later there is a gap
			run = 0
		}
		last = pdpb.Timestamp{Physical: physical, Logical: logical}
	}
	return last
}

func header() *pdpb.ResponseHeader { return &pdpb.ResponseHeader{ClusterId: clusterID} }

func (p *placementDriver) GetMembers(context.Context, *pdpb.GetMembersRequest) (*pdpb.GetMembersResponse, error) {
	urls := []string{"http://" + p.address}
	self := &pdpb.Member{Name: "pd", MemberId: 1, PeerUrls: urls, ClientUrls: urls}
	return &pdpb.GetMembersResponse{Header: header(), Members: []*pdpb.Member{self}, Leader: self, EtcdLeader: self}, nil
}

// Tso answers each request with the last timestamp of as many as were asked for.
func (p *placementDriver) Tso(stream pdpb.PD_TsoServer) error {
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		last := p.timestamps.reserve(stream.Context(), request.Count)
		if err := stream.Send(&pdpb.TsoResponse{Header: header(), Count: request.Count, Timestamp: &last}); err != nil {
			return err
		}
	}
}

func (p *placementDriver) GetStore(ctx context.Context, request *pdpb.GetStoreRequest) (*pdpb.GetStoreResponse, error) {
	store, err := p.mock.GetStore(ctx, request.StoreId)
	if store != nil {
		store.Address = p.address
	}
	return &pdpb.GetStoreResponse{Header: header(), Store: store}, err
}

func (p *placementDriver) GetAllStores(ctx context.Context, _ *pdpb.GetAllStoresRequest) (*pdpb.GetAllStoresResponse, error) {
	stores, err := p.mock.GetAllStores(ctx)
	for _, store := range stores {
		store.Address = p.address
	}
	return &pdpb.GetAllStoresResponse{Header: header(), Stores: stores}, err
}

func answer(region *router.Region, err error) (*pdpb.GetRegionResponse, error) {
	response := &pdpb.GetRegionResponse{Header: header()}
	if region != nil {
		response.Region, response.Leader, response.Buckets = region.Meta, region.Leader, region.Buckets
	}
	return response, err
}

func (p *placementDriver) GetRegion(ctx context.Context, request *pdpb.GetRegionRequest) (*pdpb.GetRegionResponse, error) {
	return answer(p.mock.GetRegion(ctx, request.RegionKey))
}

func (p *placementDriver) GetPrevRegion(ctx context.Context, request *pdpb.GetRegionRequest) (*pdpb.GetRegionResponse, error) {
	return answer(p.mock.GetPrevRegion(ctx, request.RegionKey))
}

func (p *placementDriver) GetRegionByID(ctx context.Context, request *pdpb.GetRegionByIDRequest) (*pdpb.GetRegionResponse, error) {
	return answer(p.mock.GetRegionByID(ctx, request.RegionId))
}

func (p *placementDriver) ScanRegions(ctx context.Context, request *pdpb.ScanRegionsRequest) (*pdpb.ScanRegionsResponse, error) {
	regions, err := p.mock.ScanRegions(ctx, request.StartKey, request.EndKey, int(request.Limit))
	response := &pdpb.ScanRegionsResponse{Header: header()}
	for _, region := range regions {
		response.Regions = append(response.Regions, &pdpb.Region{Region: region.Meta, Leader: region.Leader})
		response.RegionMetas = append(response.RegionMetas, region.Meta)
		response.Leaders = append(response.Leaders, region.Leader)
	}
	return response, err
}

func (p *placementDriver) GetGCSafePoint(ctx context.Context, _ *pdpb.GetGCSafePointRequest) (*pdpb.GetGCSafePointResponse, error) {
	point, err := p.mock.GetGCSafePoint(ctx)
	return &pdpb.GetGCSafePointResponse{Header: header(), SafePoint: point}, err
}

func (p *placementDriver) UpdateGCSafePoint(ctx context.Context, request *pdpb.UpdateGCSafePointRequest) (*pdpb.UpdateGCSafePointResponse, error) {
	controller := p.mock.GetGCInternalController(constants.NullKeyspaceID)
	if _, err := controller.AdvanceTxnSafePoint(ctx, request.SafePoint); err != nil {
		return nil, err
	}
	point, err := p.mock.UpdateGCSafePoint(ctx, request.SafePoint)
	return &pdpb.UpdateGCSafePointResponse{Header: header(), NewSafePoint: point}, err
}

func (p *placementDriver) UpdateServiceGCSafePoint(ctx context.Context, request *pdpb.UpdateServiceGCSafePointRequest) (*pdpb.UpdateServiceGCSafePointResponse, error) {
	return &pdpb.UpdateServiceGCSafePointResponse{Header: header(), ServiceId: request.ServiceId, TTL: request.TTL, MinSafePoint: request.SafePoint}, nil
}
