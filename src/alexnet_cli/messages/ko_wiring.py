"""Korean: claims about the wiring of training."""

MESSAGES: dict[str, str] = {
    "any.no_training_step": (
        "이를 위해서는 크기만으로 학습 스텝을 실행해야 한다. 학습할 것이 없거나 그렇게 실행할 수 없다."
    ),
    "any.step_failed": "학습 스텝이 실패했다: {error}",
    "claim.gradients-reach-all": "학습하는 파라미터는 모두 학습 스텝에서 그래디언트를 받는다.",
    "gradients-reach-all.counts": (
        "그래디언트가 필요한 파라미터 텐서 {trained:count}개 가운데 {missed:count}개가 받지 못한다."
    ),
    "gradients-reach-all.cut_off": (
        "{path:layer} 층은 실행되지만 손실이 {names:names}에 의존하지 않는다{line:at}. 파라미터 {params:count}개가 "
        "그대로 남는다."
    ),
    "gradients-reach-all.not_read": (
        "{path:layer} 층의 {names:names}는 아무 데서도 읽지 않는다{line:at}. 파라미터 {params:count}개가 그대로 남는다."
    ),
    "claim.optimiser-has-all": "학습하는 파라미터는 모두 모델 자신의 옵티마이저 그룹에 들어 있다.",
    "optimiser-has-all.no_optimiser": (
        "모델이 어떻게 갱신되는지 알 수 없다. Lightning 모듈처럼 configure_optimizers 메서드가 있지 않다."
    ),
    "optimiser-has-all.needs_arguments": (
        "모델의 옵티마이저를 알 수 없다. configure_optimizers에 인자가 필요하다: {why}."
    ),
    "optimiser-has-all.optimiser_failed": ("모델의 옵티마이저를 알 수 없다. configure_optimizers가 실패했다: {why}."),
    "optimiser-has-all.counts": (
        "configure_optimizers는 그래디언트가 필요한 파라미터 텐서 {trained:count}개 가운데 {updated:count}개를 "
        "갱신한다."
    ),
    "optimiser-has-all.left_out": (
        "{path:layer} 층의 {names:names}가 옵티마이저의 어느 그룹에도 없다{line:at}. 파라미터 {params:count}개가 "
        "그대로 남는다."
    ),
    "claim.ddp-takes-it": "DistributedDataParallel이 find_unused_parameters 없이 모델을 그대로 학습할 수 있다.",
    "ddp-takes-it.all": "그래디언트가 필요한 파라미터 텐서 {trained:count}개가 모두 이 스텝에서 그래디언트를 받는다.",
    "ddp-takes-it.find_unused": (
        "{names:names}가 그래디언트를 받지 못한다{line:at}. 이들을 고정하거나 스텝마다 그래프를 뒤지는 "
        "find_unused_parameters=True를 주지 않으면 DistributedDataParallel은 두 번째 스텝에서 멈춘다."
    ),
    "ddp-takes-it.buffer": (
        "버퍼 {name}이(가) 스텝마다 커진다{line:at}. DistributedDataParallel은 처음 만들어질 때의 버퍼를 첫 번째 "
        "랭크에서 보낸다."
    ),
    "ddp-takes-it.lazy": (
        "{names:names}는 첫 순전파 전에 크기가 없다. DistributedDataParallel은 순전파를 한 번 한 다음에야 모델을 "
        "받는다."
    ),
    "claim.nothing-grows": "모델이 가지고 있는 것은 스텝마다 커지지 않는다.",
    "nothing-grows.none": "순전파를 두 번 한 다음에도 버퍼와 속성이 한 번 한 다음만큼만 가지고 있다.",
    "nothing-grows.buffer": "버퍼 {name}이(가) 스텝마다 커진다. {before:bytes}에서 {after:bytes}로{line:at}.",
    "nothing-grows.attribute": "{name}에 든 텐서가 스텝마다 커진다. {before:bytes}에서 {after:bytes}로{line:at}.",
    "nothing-grows.graph": (
        "{name}에 든 텐서가 자신을 만든 그래프와 함께 스텝마다 커진다. {before:bytes}에서 {after:bytes}로{line:at}. "
        "그 스텝들의 활성값이 모두 메모리에 남으므로 detach해야 한다."
    ),
    "claim.modes-agree": "드롭아웃과 배치 정규화가 학습에서도 평가에서도 모델의 모드로 실행된다.",
    "modes-agree.none": "다른 모드로 실행되거나 샘플 하나만 보는 드롭아웃과 배치 정규화가 없다.",
    "modes-agree.eval": (
        "{region:layer}이(가) 학습되는데도 평가 모드여서, 학습 중에 층 {count:count}개가 평가 모드로 실행된다: "
        "{paths:layers}{line:at}."
    ),
    "modes-agree.updates": (
        "{paths:layers} 층은 자신의 파라미터가 고정되어 있는데도 이동 통계를 갱신한다{line:at}. train() 다음에 평가 "
        "모드로 두어야 한다."
    ),
    "modes-agree.undone": (
        "{region:layer}이(가) 만들어질 때 평가 모드가 되지만{line:at} train()이 되돌린다. train()을 재정의하거나 그 "
        "뒤에 eval()을 불러야 한다."
    ),
    "modes-agree.always": (
        "{paths:layers}의 {types:names}이(가) 평가 모드에서도 학습 때처럼 동작한다{line:at}. "
        "training=self.training을 주거나 평가 때 dropout_p를 0으로 해야 한다."
    ),
    "modes-agree.one_sample": "{paths:layers} 층은 배치에 샘플이 더 있는데도 샘플 하나로 정규화한다{line:at}.",
    "modes-agree.batch_of_one": (
        "배치가 1이어서 정규화 층 {count:count}개가 샘플 하나에서 통계를 얻는다: {paths:layers}."
    ),
    "claim.kept-once": "역전파를 위해 같은 값을 두 번 보관하지 않는다.",
    "kept-once.none": "역전파를 위해 보관하는 {saved:bytes} 가운데 복사본이나 다시 계산한 것이 없다.",
    "kept-once.total": (
        "역전파를 위해 보관하는 {saved:bytes} 가운데 {bytes:bytes}({share:share})가 두 번째로 보관하는 것이다."
    ),
    "kept-once.copy": (
        "복사본을 원본과 함께 보관한다. {paths:layers}의 연산 {count:count}개에서 {bytes:bytes}{line:at}."
    ),
    "kept-once.again": (
        "같은 값에서 같은 것을 다시 계산해 또 보관한다. {paths:layers}의 연산 {count:count}개에서 "
        "{bytes:bytes}{line:at}."
    ),
    "claim.no-wider-casts": "형 변환이 역전파를 위해 보관하는 것을 늘리지 않는다.",
    "no-wider-casts.none": "역전파를 위해 보관하는 {saved:bytes} 가운데 형 변환으로 커진 것이 없다.",
    "no-wider-casts.total": (
        "형 변환이 {bytes:bytes}를 늘린다. 역전파를 위해 보관하는 {saved:bytes}의 {share:share}이다."
    ),
    "no-wider-casts.wider": (
        "{given} 값을 {made}로 보관한다. {paths:layers}의 형 변환 {count:count}번에서 {bytes:bytes}가 더 든다{line:at}."
    ),
    "no-wider-casts.both": (
        "같은 값을 {given}와 {made}로 모두 보관한다. {paths:layers}의 형 변환 {count:count}번에서 {bytes:bytes}가 더 "
        "든다{line:at}."
    ),
    "claim.few-logits": "손실이 모든 위치의 로짓을 한꺼번에 가지고 있지 않다.",
    "few-logits.no_such_loss": (
        "샘플마다 여러 위치에 대한 교차 엔트로피가 실행되지 않는다. 모델이 그런 손실을 돌려주지 않는다."
    ),
    "few-logits.logits": (
        "위치 {positions:count}개와 클래스 {classes:count}개의 로짓이 소프트맥스와 역전파가 만드는 것까지 한때 "
        "{bytes:bytes}를 차지한다. {path:layer}에서 최대 메모리의 {share:share}이다{line:at}. 손실을 조각으로 나누어 "
        "다시 계산하거나 융합된 손실을 쓰면 그 일부만 든다."
    ),
}
