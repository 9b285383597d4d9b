/* Made by Tools/generate-protobuf from Protocols/baton/v1/frame.proto. */

#include "CBatonWire.h"

const ProtobufCMessageDescriptor *baton_message_descriptor(uint32_t type)
{
    switch (type) {
    case 1:
        return &baton__v1__hello__descriptor;
    case 2:
        return &baton__v1__peer_info__descriptor;
    case 3:
        return &baton__v1__proof__descriptor;
    case 8:
        return &baton__v1__error__descriptor;
    case 9:
        return &baton__v1__cancel__descriptor;
    case 10:
        return &baton__v1__acknowledged__descriptor;
    case 11:
        return &baton__v1__credit__descriptor;
    case 12:
        return &baton__v1__ping__descriptor;
    case 13:
        return &baton__v1__pong__descriptor;
    case 32:
        return &baton__v1__model_assets_request__descriptor;
    case 33:
        return &baton__v1__model_asset_chunk__descriptor;
    case 34:
        return &baton__v1__metrics_request__descriptor;
    case 35:
        return &baton__v1__metrics_reply__descriptor;
    case 48:
        return &baton__v1__prefill_request__descriptor;
    case 49:
        return &baton__v1__prefill_accepted__descriptor;
    case 50:
        return &baton__v1__prefill_done__descriptor;
    case 51:
        return &baton__v1__decode_request__descriptor;
    case 52:
        return &baton__v1__generate_request__descriptor;
    case 53:
        return &baton__v1__token_chunk__descriptor;
    case 54:
        return &baton__v1__text_request__descriptor;
    case 55:
        return &baton__v1__text_chunk__descriptor;
    case 64:
        return &baton__v1__link_prepare__descriptor;
    case 65:
        return &baton__v1__link_open__descriptor;
    case 66:
        return &baton__v1__link_opened__descriptor;
    case 67:
        return &baton__v1__ticket_claim__descriptor;
    case 68:
        return &baton__v1__prefill_progress__descriptor;
    case 69:
        return &baton__v1__lease_renew__descriptor;
    case 70:
        return &baton__v1__lease_release__descriptor;
    case 71:
        return &baton__v1__lease_recall__descriptor;
    case 72:
        return &baton__v1__link_close__descriptor;
    default:
        return NULL;
    }
}
