"""Korean, in the plain style of the course notebook."""

MESSAGES: dict[str, str] = {
    "title": "{model}에 대한 통념 검증",
    "root": "모델 자체",
    "more": "{names} 외 {rest}개",
    "unshown": "같은 내용이 {count:count}개 더 있다. --json으로 모두 볼 수 있다",
    "macs": (
        "MAC은 순전파 한 번의 곱셈-누산 횟수이며 편향 덧셈은 세지 않는다. "
        "추적값이라고 쓴 것은 그렇게 바꾼 모델을 값 없이 shape만으로 실행하여 얻은 값이고, "
        "계산값이라고 쓴 것은 실행하지 않고 계산한 값이다."
    ),
    "column.code": "항목",
    "column.verdict": "판정",
    "verdict.holds": "맞다",
    "verdict.partly": "일부만 맞다",
    "verdict.fails": "틀리다",
    "verdict.not_applicable": "해당 없음",
    # 모든 항목에 쓰이는 말
    "any.failed": "순전파가 {path:layer}에서 실패하여 판정할 수 없다.",
    "any.not_run": "모델을 실행하지 않았고, 파라미터만으로는 알 수 없다.",
    "any.nothing_of_these": "해당하는 층이 없다.",
    "any.no_parameters": "파라미터가 없다.",
    "any.no_convolutions": "독립된 층으로 실행된 합성곱이 없다.",
    "any.not_both": "합성곱 층과 선형 층을 비교하는 항목인데, 둘 다 있지는 않다.",
    "any.not_traced": (
        "{path:layer} 층의 출력을 반으로 줄이면 얼마나 줄어드는지는 추적하지 않았다. "
        "저장된 보고서나 체크포인트는 실행할 수 없다."
    ),
    "any.needs_values": (
        "{path:layer} 층의 출력을 반으로 줄이면 얼마나 줄어드는지는 추적하지 않았다. "
        "바꾼 모델은 shape만으로 실행하는데, 이 모델은 값이 있어야 실행된다."
    ),
    "any.not_built": "{path:layer} 층의 출력을 반으로 줄이면 얼마나 줄어드는지는 추적하지 못했다: {error}.",
    "any.other_kind": (
        "{path:layer} 단계({type})는 합성곱 층도 선형 층도 임베딩도 아니다. 출력은 그런 층에서만 반으로 줄여 본다."
    ),
    "any.too_few": "{path:layer} 층의 출력은 {width:count}개뿐이라 반으로 줄이지 않았다.",
    "any.last_layer": (
        "{path:layer} 층의 출력 개수는 다른 층이 이어받지 않고 모델의 답에 그대로 남는다. "
        "반으로 줄이면 모델이 작아지는 것이 아니라 답이 달라진다."
    ),
    "any.does_not_fit": (
        "{path:layer} 층의 출력만 반으로 줄이면 {at:layer} 단계에서 순전파가 실패한다. "
        "그 단계에는 출력이 모두 필요하므로 다른 곳도 함께 바꾸어야 한다."
    ),
    "any.not_divisible": (
        "{path:layer} 층의 출력을 반으로 줄이면 {at:layer} 층의 채널이 {width:count}개가 되는데, "
        "{groups:count}그룹으로 똑같이 나눌 수 없다."
    ),
    "any.shared_weights": (
        "{path:layer} 층의 출력을 반으로 줄이려면 {at:layer} 층의 가중치도 바꾸어야 하는데, "
        "그 가중치는 다른 곳에서도 쓰인다."
    ),
    "any.other_weights": (
        "{path:layer} 층의 출력을 반으로 줄이려면 {at:layer} 층({type})의 가중치도 바꾸어야 하는데, "
        "그 층은 torch의 층과 다른 방식으로 가중치를 가지고 있다."
    ),
    "any.no_attention": "어텐션처럼 활성값과 활성값을 곱하는 곳이 없다.",
    "any.no_softmax": "어텐션처럼 소프트맥스로 키에 가중을 두는 층이 없다.",
    "any.no_length": "입력에 바꾸어 볼 길이가 없다.",
    "any.no_tokens": "토큰으로 된 글을 입력으로 받지 않는다.",
    "any.not_run_again": (
        "형태만으로 더 실행해 보아야 안다. "
        "저장된 보고서나 체크포인트, 값이 있어야 실행되는 모델은 그렇게 실행할 수 없다."
    ),
    "any.not_served": "캐시 뒤의 토큰 하나를 실행하지 못했다: {why}.",
    "any.uncounted": "계산식이 없어 세지 못한 연산: {operators:names}.",
    # 노트북의 주장
    "claim.stack": "합성곱 층과 풀링 층이 겹겹이 쌓여 있고, flatten 이후에 선형 층이 온다.",
    "stack.counts": "합성곱 층 {convolutions:count}개, 풀링 층 {poolings:count}개, 선형 층 {linears:count}개.",
    "stack.other_kinds": "다른 종류의 층이 주된 역할을 한다: {paths:layers}.",
    "stack.no_pooling": "풀링이 없다.",
    "stack.no_linear": "뒤따르는 선형 층이 없다.",
    "stack.linear_before": (
        "마지막 합성곱 또는 풀링인 {last:layer} 층보다 먼저 실행되는 선형 층이 있다: {paths:layers}."
    ),
    "stack.no_flatten": "{path:layer} 층 앞에 flatten이 없다.",
    "stack.branches": "갈라진 가지가 {count:count}곳에서 합쳐지므로 한 줄로 쌓인 구조가 아니다: {paths:layers}.",
    "claim.relu-outputs": "max-pooling과 마지막 softmax를 제외한 모든 층은 ReLU를 거쳐 출력을 내준다.",
    "relu-outputs.through_relu": (
        "{layers:count}개 층 가운데 {kept:count}개가 그렇다. 풀링, 모양 변환, dropout, softmax는 세지 않았다."
    ),
    "relu-outputs.goes_to": "{path:layer} 층({type})과 {next:layer} 단계 사이에는 ReLU가 없다.",
    "relu-outputs.comes_out": "{path:layer} 층({type})은 값을 그대로 내보내고, 뒤에 이어지는 것이 없다.",
    "relu-outputs.other_activation": "{path:layer} 층({type})은 ReLU가 아니라 {activation} 함수를 거친다.",
    "claim.narrow-and-deep": "shape은 넓은 것에서 점차 좁고 깊어지며, 깊어질수록 파라미터도 많아진다.",
    "narrow-and-deep.shapes": "입력의 {first:shape}에서 {path:layer} 층의 {last:shape}까지 바뀐다.",
    "narrow-and-deep.too_few_convolutions": "설정을 알 수 있는 합성곱 층이 {convolutions:count}개라 비교할 것이 없다.",
    "narrow-and-deep.wider": "{path:layer} 층에서 shape이 {before:shape}에서 {shape:shape}로 다시 넓어진다.",
    "narrow-and-deep.shallower": "{path:layer} 층에서 채널이 {before:count}개에서 {channels:count}개로 되돌아간다.",
    "narrow-and-deep.fewer_parameters": (
        "{path:layer} 층의 파라미터는 {params:count}개로, 바로 앞 합성곱인 {other:layer} 층의 {most:count}개보다 적다."
    ),
    "narrow-and-deep.same_shape": (
        "{path:layer} 층의 파라미터는 {params:count}개로, 출력이 똑같이 {shape:shape}인 {other:layer} 층의 "
        "{most:count}개보다 적다. 입력의 깊이도 영향을 주기 때문이다."
    ),
    "claim.parameters-in-conv-and-linear": (
        "파라미터는 합성곱 층과 선형 층에만 있다. ReLU와 max-pooling에는 업데이트할 가중치가 없다."
    ),
    "parameters-in-conv-and-linear.holders": (
        "합성곱 층 {convolutions:count}개와 선형 층 {linears:count}개가 파라미터의 {share:share}를 가지고 있다."
    ),
    "parameters-in-conv-and-linear.other_holder": (
        "{type} 층도 {params:count}개({share:share})를 가지고 있다: {paths:layers}."
    ),
    "parameters-in-conv-and-linear.none_to_learn": "학습할 파라미터가 없는 층: {types:names}.",
    "parameters-in-conv-and-linear.unused": "한 번도 호출되지 않아 판정에서 뺀 층: {paths:layers}.",
    "claim.linear-dominates": "선형 층의 파라미터가 합성곱 층에 비해 압도적으로 많다.",
    "linear-dominates.parameters": "파라미터는 선형 층에 {linear:count}개, 합성곱 층에 {conv:count}개 있다.",
    "linear-dominates.ratio": "선형 층이 {ratio:ratio}배 많다.",
    "linear-dominates.other_way": "오히려 반대로 합성곱 층의 파라미터가 {ratio:ratio}배 많다.",
    # 선생님이라면 덧붙일 것
    "claim.mirror-images": "파라미터와 연산량은 거울상이다. 파라미터는 선형 층에, 연산은 합성곱 층에 몰려 있다.",
    "mirror-images.params": "파라미터는 선형 층이 {linear:share}, 합성곱 층이 {conv:share}를 차지한다.",
    "mirror-images.macs": "MAC은 선형 층이 {linear:share}, 합성곱 층이 {conv:share}를 차지한다.",
    "mirror-images.why": (
        "합성곱 층의 파라미터는 맵의 모든 위치에서 쓰이므로 하나당 평균 {conv:ratio}번의 MAC을 하고, "
        "선형 층의 파라미터는 하나당 {linear:ratio}번을 하기 때문이다."
    ),
    "claim.weight-sharing": "합성곱 층은 가중치를 공유한다. 가중치 하나를 여러 위치에서 쓴다.",
    "weight-sharing.used": (
        "{path:layer} 층은 가중치 {weights:count}개를 저마다 {places:count}곳에서 쓴다. "
        "같은 맵 사이를 모두 잇는 선형 층이라면 파라미터가 {params:count}개가 아니라 {dense_params:count}개 필요하다."
    ),
    "claim.weights-outweigh-outputs": "가중치가 층의 출력보다 메모리를 더 많이 차지한다.",
    "weights-outweigh-outputs.bytes": (
        "가중치는 {weights:bytes}, 순전파 한 번의 출력을 모두 남겨 두면 {outputs:bytes}로 {ratio:ratio}배이다."
    ),
    "weights-outweigh-outputs.heaviest": (
        "가중치가 가장 무거운 층은 {path:layer} 층으로, {amount:bytes}({share:share})이다."
    ),
    "weights-outweigh-outputs.largest_output": (
        "출력이 가장 큰 층은 {path:layer} 층으로, {amount:bytes}({share:share})이다."
    ),
    "weights-outweigh-outputs.batch": "배치 크기가 {batch:count} 이상이면 출력이 더 많이 차지한다.",
    "claim.grouping": "합성곱을 그룹으로 나누었고, 그만큼 파라미터와 연산량이 줄었다.",
    "grouping.nothing_to_split": "두 그룹으로 나눌 수 있는 합성곱 층이 없다.",
    "grouping.grouped": (
        "{path:layer} 층은 {groups:count}그룹이다. 파라미터는 {whole_params:count}개 대신 {params:count}개, "
        "MAC은 {whole_macs:count}번 대신 {macs:count}번이다."
    ),
    "grouping.could_be_grouped": (
        "{path:layer} 층은 나뉘어 있지 않다. {groups:count}그룹으로 나누면 파라미터 {params:count}개 가운데 "
        "{split_params:count}개, MAC {macs:count}번 가운데 {split_macs:count}번만 남는다."
    ),
    "grouping.together": (
        "이 층들을 모두 {groups:count}그룹으로 나누면 "
        "파라미터 {params:count}개와 MAC {macs:count}번이 줄어든다(계산값)."
    ),
    "claim.size-in-one-layer": "한 층이 파라미터의 대부분을 가지고 있다. 모델을 작게 하려면 그 층부터 바꾼다.",
    "size-in-one-layer.nothing_to_share": "파라미터가 없다.",
    "size-in-one-layer.largest": "{path:layer} 층이 파라미터 {amount:count}개({share:share})를 가지고 있다.",
    "size-in-one-layer.halved": (
        "{path:layer} 층의 출력을 {width:count}개에서 {half:count}개로 줄이고 그에 맞추어 {followers:layers} 층을 "
        "바꾸면, 모델의 파라미터는 {before:count}개에서 {after:count}개로 {share:share} 줄어든다(추적값)."
    ),
    "claim.work-in-one-layer": "한 층이 연산의 대부분을 한다. 모델을 빠르게 하려면 그 층부터 바꾼다.",
    "work-in-one-layer.nothing_to_share": "집계된 연산이 없다.",
    "work-in-one-layer.largest": "{path:layer} 층이 MAC {amount:count}번({share:share})을 한다.",
    "work-in-one-layer.halved": (
        "{path:layer} 층의 출력을 {width:count}개에서 {half:count}개로 줄이고 그에 맞추어 {followers:layers} 층을 "
        "바꾸면, 순전파 한 번의 MAC은 {before:count}번에서 {after:count}번으로 {share:share} 줄어든다(추적값)."
    ),
    "claim.outputs-in-one-layer": (
        "모든 출력이 차지하는 메모리의 대부분이 한 층에서 나온다. 학습할 때의 메모리를 줄이려면 그 층부터 바꾼다."
    ),
    "outputs-in-one-layer.nothing_to_share": "새로 만들어지는 출력이 없다.",
    "outputs-in-one-layer.largest": "{path:layer} 층의 출력은 {amount:bytes}로, 전체 출력의 {share:share}이다.",
    "outputs-in-one-layer.halved": (
        "{path:layer} 층의 출력을 {width:count}개에서 {half:count}개로 줄이고 그에 맞추어 {followers:layers} 층을 "
        "바꾸면, 출력 전체는 {before:bytes}에서 {after:bytes}로 {share:share} 줄어든다(추적값)."
    ),
    "outputs-in-one-layer.no_step": (
        "학습 한 단계가 역전파를 위해 무엇을 남겨 두는지는 추적하지 않았다. "
        "여기서는 학습 단계가 실패하거나 학습할 것이 없다."
    ),
    "outputs-in-one-layer.kept": (
        "이렇게 바꾸면 학습 한 단계에서 역전파를 위해 남겨 두는 메모리는, 모델의 입력을 포함하여 "
        "{before:bytes}에서 {after:bytes}로 {share:share} 줄어든다(추적값)."
    ),
    # 언어 모델에 대한 주장
    "claim.attention-overtakes": (
        "어텐션의 연산량은 길이의 제곱에, 나머지는 길이에 비례한다. "
        "그래서 어떤 길이부터는 어텐션이 가중치를 가진 층 전체보다 더 많이 연산한다."
    ),
    "attention-overtakes.no_law": "연산량이 길이에 따라 늘어나는 법칙을 찾지 못했다.",
    "attention-overtakes.laws": (
        "토큰이 n개일 때, 어텐션처럼 활성값끼리 곱하는 데에는 MAC {attention:polynomial}번, "
        "가중치와 곱하는 데에는 {weights:polynomial}번이 든다."
    ),
    "attention-overtakes.now": "이번에 실행한 길이 {length:count}에서는 그 둘 가운데 {share:share}가 어텐션이다.",
    "attention-overtakes.overtakes": (
        "길이 {length:count}부터 어텐션이 더 많다. 그때 어텐션은 MAC {attention:count}번, 가중치 쪽은 "
        "{weights:count}번이고, {before:count}에서는 아직 그렇지 않다(추적값)."
    ),
    "attention-overtakes.never": "이 법칙대로라면 어떤 길이에서도 어텐션이 앞서지 않는다.",
    "attention-overtakes.other_law": (
        "이 법칙대로라면 길이 {length:count} 부근에서 앞서야 하지만, 거기에서 어텐션은 MAC {attention:count}번, "
        "가중치 쪽은 {weights:count}번이다(추적값). 긴 입력은 다른 법칙을 따른다."
    ),
    "attention-overtakes.too_few_places": (
        "길이 {length:count}에서 앞서게 되지만(계산값), 이 모델에는 위치가 {places:count}개뿐이다."
    ),
    "attention-overtakes.refused": (
        "길이 {length:count}에서 앞서게 되지만(계산값), 이 모델은 그 길이로 실행되지 않는다: {why}."
    ),
    "attention-overtakes.loops": (
        "길이 {length:count}에서 앞서게 된다(계산값). 토큰을 하나씩 처리하는 모델이라 그 길이로는 추적하지 않았다."
    ),
    "attention-overtakes.linear": (
        "활성값끼리 곱하는 모듈 {layers:count}개 가운데 {count:count}개에서는 "
        "그 연산량이 길이보다 빠르게 늘지 않는다: {paths:layers}."
    ),
    "attention-overtakes.window": (
        "캐시를 읽는 모듈 {layers:count}개 가운데 {count:count}개({paths:layers})에서는 {context:count}번째 토큰도 "
        "키를 {keys:count}개만 본다(추적값). 그 창을 넘으면 필요한 어텐션은 길이에 비례하여 늘어난다."
    ),
    "attention-overtakes.state": (
        "토큰 {context:count}개에서 모델이 남겨 두는 것은 {bytes:bytes}이고, 토큰이 하나 늘어도 그대로이다(추적값). "
        "토큰 하나에 드는 연산량은 길이에 따라 늘지 않는다."
    ),
    "claim.keys-are-shared": (
        "캐시에는 층과 쿼리 헤드마다 하나씩 있을 키와 값보다 적게 들어 있다. 여러 헤드가 키와 값을 나누어 쓴다."
    ),
    "keys-are-shared.no_keys": "어텐션이 캐시에 남아 있는 것을 읽지 않는다.",
    "keys-are-shared.shared": (
        "모듈 {layers:count}개 가운데 {count:count}개에서 쿼리 헤드 {heads:count}개가 키와 값의 헤드 "
        "{of_keys:count}개를 나누어 쓴다. 캐시에 있는 수 하나가 토큰마다 {ratio:ratio}번 쓰인다."
    ),
    "keys-are-shared.latent": (
        "모듈 {layers:count}개 가운데 {count:count}개에서 캐시에는 토큰마다 수가 {whole:count}개가 아니라 "
        "{cached:count}개 들어 있고, 가중치가 거기에서 키와 값을 만든다. {ratio:ratio}배 적다."
    ),
    "keys-are-shared.own": (
        "모듈 {layers:count}개 가운데 {count:count}개에서는 쿼리 헤드 {heads:count}개가 저마다 키와 값을 가지고 있다."
    ),
    "keys-are-shared.reused": (
        "모듈 {layers:count}개 가운데 {count:count}개는 앞선 모듈이 캐시에 남긴 것을 읽는다: {paths:layers}."
    ),
    "keys-are-shared.cache": (
        "토큰 {context:count}개의 키와 값은 {bytes:bytes}이다. "
        "층과 쿼리 헤드마다 따로 있었다면 {instead:bytes}가 되었을 것이다."
    ),
    "claim.token-reads-all": "토큰 하나를 디코딩할 때마다 모든 가중치를 읽는다.",
    "token-reads-all.read": "토큰 하나가 가중치 {all:bytes} 가운데 {read:bytes}({share:share})를 읽는다.",
    "token-reads-all.looked_up": "{bytes:bytes}인 표에서는 필요한 행만 찾아 읽는다. {read:bytes}이다.",
    "token-reads-all.experts": (
        "층 {layers:count}개에서 전문가 {count:count}개 가운데 {per_token:count}개만 읽는다. "
        "전문가들은 전체 가중치의 {share:share}를 가지고 있다."
    ),
    "token-reads-all.idle": (
        "나머지 {bytes:bytes}는 토큰 하나에 조금도 쓰이지 않는다. 프롬프트에만 쓰이거나 아예 쓰이지 않는다."
    ),
    "token-reads-all.intensity": (
        "시퀀스 하나의 {context:count}번째 토큰은 옮겨야 하는 바이트마다 {token:ratio} FLOPs를 하고, "
        "토큰이 그만큼인 프롬프트는 {prompt:ratio} FLOPs를 한다."
    ),
    "claim.embedding-is-large": "임베딩이 파라미터의 큰 몫을, 곧 사분의 일 이상을 가지고 있다.",
    "embedding-is-large.no_embedding": "표에서 행을 찾아 읽는 곳이 없다.",
    "embedding-is-large.table": (
        "{path:layer} 층의 표는 폭 {width:count}인 행 {rows:count}개로, 파라미터 {params:count}개({share:share})이다."
    ),
    "embedding-is-large.tied": ("{path:layer} 층은 {table:layer} 층의 표와 곱한다. 그 파라미터는 한 번만 센다."),
    "embedding-is-large.as_many": (
        "{path:layer} 층이 같은 크기의 가중치 {params:count}개를 따로 가지고 있다. 이를 합하면 {share:share}이다."
    ),
}
