package streams

import (
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// The JSON that Lambda makes of stream records. The library's types cannot be written: they lose the
// types of attributes.
type (
	wireEvent struct {
		Records []wireRecord `json:"Records"`
	}
	wireRecord struct {
		EventID        *string             `json:"eventID"`
		EventName      types.OperationType `json:"eventName"`
		EventVersion   *string             `json:"eventVersion"`
		EventSource    *string             `json:"eventSource"`
		AWSRegion      *string             `json:"awsRegion"`
		Change         wireChange          `json:"dynamodb"`
		UserIdentity   *wireIdentity       `json:"userIdentity,omitempty"`
		EventSourceARN string              `json:"eventSourceARN"`
	}
	wireIdentity struct {
		Type        *string `json:"type"`
		PrincipalID *string `json:"principalId"`
	}
	wireChange struct {
		Created        int64                `json:"ApproximateCreationDateTime"` // seconds
		Keys           map[string]wireValue `json:"Keys,omitempty"`
		NewImage       map[string]wireValue `json:"NewImage,omitempty"`
		OldImage       map[string]wireValue `json:"OldImage,omitempty"`
		SequenceNumber *string              `json:"SequenceNumber"`
		SizeBytes      int64                `json:"SizeBytes"`
		StreamViewType types.StreamViewType `json:"StreamViewType"`
	}
	wireValue map[string]any // one entry: type and value
)

// encode writes the event of a batch.
func encode(batch []types.Record, streamARN string) ([]byte, error) {
	e := wireEvent{Records: make([]wireRecord, 0, len(batch))}
	for _, r := range batch {
		w := wireRecord{
			EventID: r.EventID, EventName: r.EventName, EventVersion: r.EventVersion, EventSource: r.EventSource,
			AWSRegion: r.AwsRegion, EventSourceARN: streamARN,
			Change: wireChange{
				Created: created(r).Unix(), SequenceNumber: r.Dynamodb.SequenceNumber,
				SizeBytes: aws.ToInt64(r.Dynamodb.SizeBytes), StreamViewType: r.Dynamodb.StreamViewType,
			},
		}
		if r.UserIdentity != nil {
			w.UserIdentity = &wireIdentity{r.UserIdentity.Type, r.UserIdentity.PrincipalId}
		}
		var err error
		for _, image := range []struct {
			from map[string]types.AttributeValue
			to   *map[string]wireValue
		}{{r.Dynamodb.Keys, &w.Change.Keys}, {r.Dynamodb.NewImage, &w.Change.NewImage}, {r.Dynamodb.OldImage, &w.Change.OldImage}} {
			if *image.to, err = wireMap(image.from); err != nil {
				return nil, fmt.Errorf("record %s: %w", aws.ToString(r.EventID), err)
			}
		}
		e.Records = append(e.Records, w)
	}
	return json.Marshal(e)
}

func wireMap(from map[string]types.AttributeValue) (map[string]wireValue, error) {
	if from == nil {
		return nil, nil
	}
	to := make(map[string]wireValue, len(from))
	for name, v := range from {
		var err error
		if to[name], err = wire(v); err != nil {
			return nil, err
		}
	}
	return to, nil
}

// wire writes one attribute; bytes become base64.
func wire(v types.AttributeValue) (wireValue, error) {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return wireValue{"S": v.Value}, nil
	case *types.AttributeValueMemberN:
		return wireValue{"N": v.Value}, nil
	case *types.AttributeValueMemberB:
		return wireValue{"B": append([]byte{}, v.Value...)}, nil
	case *types.AttributeValueMemberBOOL:
		return wireValue{"BOOL": v.Value}, nil
	case *types.AttributeValueMemberNULL:
		return wireValue{"NULL": v.Value}, nil
	case *types.AttributeValueMemberSS:
		return wireValue{"SS": v.Value}, nil
	case *types.AttributeValueMemberNS:
		return wireValue{"NS": v.Value}, nil
	case *types.AttributeValueMemberBS:
		return wireValue{"BS": v.Value}, nil
	case *types.AttributeValueMemberM:
		m, err := wireMap(v.Value)
		if m == nil {
			m = map[string]wireValue{}
		}
		return wireValue{"M": m}, err
	case *types.AttributeValueMemberL:
		l := make([]wireValue, len(v.Value))
		for i, element := range v.Value {
			var err error
			if l[i], err = wire(element); err != nil {
				return nil, err
			}
		}
		return wireValue{"L": l}, nil
	}
	return nil, fmt.Errorf("attribute of unknown type %T", v)
}
